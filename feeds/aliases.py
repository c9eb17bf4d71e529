"""Columns that files name otherwise than a mapping does: said by a person once, used from then on."""

import uuid
from collections.abc import Mapping

from django.db import transaction

from feeds.commands import correct, locked
from feeds.deeds import note_deed
from feeds.errors import WrongState
from feeds.models import Alias

LONGEST = 200  # characters of a name


def confirmed_aliases(mapping_name: str) -> list[tuple[str, str]]:
    """What people confirmed for the mapping: its column, the file's; the newest first."""
    said = Alias.objects.filter(mapping_name=mapping_name).order_by("-id")
    return list(said.values_list("column", "found"))


@transaction.atomic
def confirm_columns(feed_id: uuid.UUID, *, chosen: Mapping[str, str], user_id: int | None) -> None:
    """Says for missing columns of a feed which of the file's they are; the file is read again with that.

    Raises WrongState when the feed is not (any more) waiting to be told so.
    """
    feed = locked(feed_id)
    correct(feed_id, said=feed.said)
    for column, found in chosen.items():
        if column not in feed.missing or feed.columns.count(found) != 1:
            raise WrongState("The file was read anew meanwhile, and has other columns.")
        if max(len(column), len(found)) > LONGEST:
            raise WrongState(f"A name of more than {LONGEST} characters cannot be kept; rename the column.")
        Alias.objects.get_or_create(
            mapping_name=feed.mapping_base,
            column=column,
            found=found,
            defaults={"feed": feed, "user_id": user_id},
        )
        detail = f'that "{found}" is the column "{column}" of {feed.mapping_base}'
        note_deed(feed_id, mapping_name=feed.mapping_base, user_id=user_id, what="confirmed", detail=detail)


@transaction.atomic
def remove_alias(alias_id: int, *, user_id: int | None) -> Alias | None:
    """Later feeds are asked about the column again; None when somebody has removed it before."""
    alias = Alias.objects.select_for_update(of=("self",)).filter(id=alias_id).first()
    if alias is None:
        return None
    detail = f'the word that "{alias.found}" is the column "{alias.column}" of {alias.mapping_name}'
    note_deed(
        alias.feed_id, mapping_name=alias.mapping_name, user_id=user_id, what="took back", detail=detail
    )
    Alias.objects.filter(id=alias_id).delete()
    return alias
