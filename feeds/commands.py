"""What can be done with feeds. A command that changes state publishes the event in the same transaction."""

import hashlib
import shutil
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from deliveries import commands as deliveries
from deliveries.models import Destination
from deliveries.storable import storable
from feeds import durable
from feeds.deeds import UPLOADED, note_deed
from feeds.errors import DuplicateFile, FeedError, MappingChanged, WrongState
from feeds.events import FeedCancelled, FeedCompleted, FeedCorrected, FeedCreated, FeedReleased
from feeds.judging import bound_mapping
from feeds.mapping import Mapping as ParsedMapping
from feeds.mapping import MappingError
from feeds.models import TRIAL_ROWS, Doer, Feed, FeedStatus, Mapping
from outbox import sql
from outbox.models import uuid7
from outbox.publishing import publish

COPY_BLOCK = 1024 * 1024
LONGEST_NAME = 255  # characters of a file's name
LONGEST_MAPPING_NAME = 100
VERSIONS_LOCK = 0x6D617070696E67  # "mapping": one at a time numbers the next version


def problem_with_name(name: str) -> str:
    """What keeps a mapping from having this name, which stands in the address of its page; "" if nothing."""
    if len(name) > LONGEST_MAPPING_NAME:
        return f"The name of a mapping has at most {LONGEST_MAPPING_NAME} characters."
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        return "The name of a mapping is one line, without tabs and control characters."
    if {".", ".."} & set(name.split("/")):
        return "The name of a mapping has no . or .. between slashes: browsers take these out of an address."
    return ""


def add_mapping(*, name: str, document: object, seen: str | None = None) -> Mapping:
    """Stores the next version of a mapping.

    `seen` is the newest one that the person knew of, as text ("" is none); raises MappingChanged if there is
    a newer one. Raises MappingError with a sentence that says what to change.
    """
    if problem := problem_with_name(name):
        raise MappingError(problem)
    parsed = ParsedMapping.parse(document)
    with transaction.atomic():
        sql.lock_for_transaction(VERSIONS_LOCK)
        newest = Mapping.objects.filter(name=name).order_by("-version").first()
        if newest and seen is not None and seen != str(newest):
            raise MappingChanged(newest, same=newest.document == parsed.document)
        version = newest.version + 1 if newest else 1
        return Mapping.objects.create(name=name, version=version, document=parsed.document)


def get_mapping(name: str) -> Mapping:
    """The newest version of the mapping of that name; raises FeedError naming those there are."""
    mapping = Mapping.objects.filter(name=name).order_by("-version").first()
    if mapping is None:
        known = ", ".join(Mapping.objects.order_by("name").values_list("name", flat=True).distinct()[:20])
        raise FeedError(
            f"There is no mapping {name}. "
            + (f"Known are: {known}." if known else "Add one with: manage.py add_mapping NAME FILE.json")
        )
    return mapping


def create_feed(
    *,
    content: IO[bytes] | Iterable[bytes],
    name: str,
    destination: Destination,
    mapping: Mapping | None = None,
    owner_id: int | None = None,
    by: Doer = Doer.PERSON,
    send_at_once: bool = False,
    refuse_duplicate: bool = False,
    ticket: uuid.UUID | None = None,
    inspect: Callable[[Feed], None] | None = None,
) -> Feed:
    """Stores the file, then the feed with its FeedCreated and the deed of the upload in one transaction.

    An upload that this returns is never lost. With the `ticket` of an earlier one of the same owner and
    content it is that one's feed that is returned. Raises DuplicateFile when asked to, whatever `inspect`
    raises of the stored file, OSError when the disk is full; then nothing is left behind.
    """
    feed = Feed(
        id=uuid7(),
        name=storable(name, 4 * LONGEST_NAME)[:LONGEST_NAME],
        owner_id=owner_id,
        destination=destination,
        mapping_name=str(mapping) if mapping else "",
        mapping=mapping.document if mapping else {},
        send_at_once=send_at_once,
    )
    try:
        feed.size, feed.sha256 = _store(content, feed.source_path)
        feed.ticket = uuid.uuid5(ticket, feed.sha256) if ticket else None
        if refuse_duplicate and (earlier := earlier_feed(feed)):
            raise DuplicateFile(
                f"The same file was sent to {destination.name} before, as feed {earlier.id} "
                f"on {earlier.created_at:%Y-%m-%d at %H:%M} UTC. Nothing is sent again."
            )
        if inspect:
            inspect(feed)
        with transaction.atomic():
            feed.lane_id = deliveries.open_group(feed.id, destination)
            feed.save(force_insert=True)
            note_deed(feed.id, user_id=owner_id, by=by, what=UPLOADED)
            publish(FeedCreated(correlation_id=feed.id, conversation_id=feed.id))
    except BaseException as exc:
        shutil.rmtree(feed.folder, ignore_errors=True)
        if isinstance(exc, IntegrityError) and (first := _uploaded_before(feed)):
            return first
        raise
    return feed


def _uploaded_before(feed: Feed) -> Feed | None:
    """What the first press of the same form made."""
    return Feed.objects.filter(owner=feed.owner_id, ticket=feed.ticket).exclude(ticket=None).first()


def _store(content: IO[bytes] | Iterable[bytes], path: Path) -> tuple[int, str]:
    """Writes the upload to disk, block by block; returns its size and SHA-256."""
    path.parent.mkdir(parents=True)
    size, digest = 0, hashlib.sha256()
    with path.open("wb") as file:
        for block in _blocks(content):
            size += len(block)
            digest.update(block)
            file.write(block)
    durable.keep(path)
    return size, digest.hexdigest()


def _blocks(content: IO[bytes] | Iterable[bytes]) -> Iterator[bytes]:
    if hasattr(content, "read"):
        while block := content.read(COPY_BLOCK):
            yield block
    else:
        yield from content


def earlier_feed(feed: Feed) -> Feed | None:
    """The newest feed with the same content that was sent to the same destination, be it in part."""
    sent = Q(status__in=(FeedStatus.DELIVERING, FeedStatus.PAUSED, FeedStatus.COMPLETED))
    sent |= Q(status=FeedStatus.CANCELLED, succeeded__gt=0)
    same = Feed.objects.filter(sent, sha256=feed.sha256, destination=feed.destination)
    return same.exclude(id=feed.id).order_by("-id").first()


def locked(feed_id: uuid.UUID) -> Feed:
    """The feed, locked against other commands; never against the rows that refer to it."""
    return Feed.objects.select_for_update(no_key=True).get(id=feed_id)


def in_state(feed: Feed, *states: FeedStatus, to: str) -> None:
    """Raises WrongState unless the (locked) feed is in one of these."""
    if feed.status not in states:
        label = FeedStatus(feed.status).value
        raise WrongState(f"The feed is {label}, and cannot be {to}.")


@transaction.atomic
def correct(feed_id: uuid.UUID, *, said: dict[str, Any]) -> None:
    """Reads the file again as a person says that it is written: encoding, delimiter, preamble, has_header.

    What is not said is detected. Only before anything is sent.
    """
    feed = locked(feed_id)
    in_state(feed, FeedStatus.READY, FeedStatus.REJECTED, to="read again")
    feed.status = FeedStatus.CHECKING
    feed.said = said
    feed.reason = ""
    feed.total = feed.invalid = feed.failed = feed.pending = 0
    feed.save(update_fields=["status", "said", "reason", "total", "invalid", "failed", "pending"])
    publish(FeedCorrected(correlation_id=feed.id, conversation_id=feed.id))


@transaction.atomic
def choose_mapping(feed_id: uuid.UUID, *, mapping: Mapping | None, user_id: int | None) -> None:
    """Has the rows become something else; None: objects of their columns. The file is read again with it.

    Raises WrongState once anything is sent.
    """
    correct(feed_id, said=locked(feed_id).said)
    name, document = (str(mapping), mapping.document) if mapping else ("", {})
    Feed.objects.filter(id=feed_id).update(mapping_name=name, mapping=document)
    detail = f"the mapping {name}" if name else "to send the rows as they are"
    note_deed(feed_id, user_id=user_id, what="chose", detail=detail)


@transaction.atomic
def release(feed_id: uuid.UUID) -> None:
    """A checked feed is sent."""
    feed = locked(feed_id)
    in_state(feed, FeedStatus.READY, to="sent")
    _must_fit(feed)
    release_locked(feed)


@transaction.atomic
def try_first(feed_id: uuid.UUID) -> None:
    """The first rows of a checked feed are sent, the others once a person says so.

    A feed that has no more rows than a trial is sent whole.
    """
    feed = locked(feed_id)
    in_state(feed, FeedStatus.READY, to="tried")
    _must_fit(feed)
    release_locked(feed, trial=feed.unreached > TRIAL_ROWS)


@transaction.atomic
def release_rest(feed_id: uuid.UUID) -> None:
    """Ends a trial: the rows that waited for it are sent, even while its own are still under way."""
    feed = locked(feed_id)
    if feed.status == FeedStatus.DELIVERING and not feed.trial:
        raise WrongState("All of its rows are on their way already.")
    in_state(feed, FeedStatus.DELIVERING, to="sent on")
    feed.trial = False
    feed.save(update_fields=["trial"])
    publish(FeedReleased(correlation_id=feed.id, conversation_id=feed.id))


def _must_fit(feed: Feed) -> None:
    """The destination may have got another method since the check. Missing columns are told by others."""
    if feed.missing:
        return
    try:
        bound_mapping(feed)
    except MappingError as exc:
        raise WrongState(f"Its mapping does not fit {feed.destination.name} any more. {exc}") from exc


def release_locked(feed: Feed, *, trial: bool = False) -> None:
    if feed.missing:
        raise WrongState(
            f"The file lacks what the mapping names ({', '.join(feed.missing)[:200]}), and cannot be sent."
        )
    feed.status = FeedStatus.DELIVERING
    feed.trial = trial
    feed.released_at = timezone.now()
    feed.save(update_fields=["status", "trial", "released_at"])
    publish(FeedReleased(correlation_id=feed.id, conversation_id=feed.id, trial=trial))


@transaction.atomic
def pause(feed_id: uuid.UUID) -> None:
    """No request of the feed starts later than a second from now; statuses of its rows stay."""
    feed = locked(feed_id)
    in_state(feed, FeedStatus.DELIVERING, to="paused")
    feed.status = FeedStatus.PAUSED
    feed.save(update_fields=["status"])
    deliveries.pause_group(feed.lane_id)


@transaction.atomic
def resume(feed_id: uuid.UUID) -> None:
    """A paused feed goes on, and ends if nothing was left to do."""
    feed = locked(feed_id)
    in_state(feed, FeedStatus.PAUSED, to="resumed")
    feed.status = FeedStatus.DELIVERING
    feed.save(update_fields=["status"])
    deliveries.resume_group(feed.lane_id)
    close_if_done(feed)


@transaction.atomic
def cancel(feed_id: uuid.UUID) -> None:
    """Nothing more is sent: rows that were never reached end here, the others chunk by chunk."""
    feed = locked(feed_id)
    in_state(feed, FeedStatus.READY, FeedStatus.DELIVERING, FeedStatus.PAUSED, to="cancelled")
    feed.status = FeedStatus.CANCELLED
    feed.trial = False
    feed.pending -= feed.unreached
    feed.cancelled += feed.unreached
    feed.ended_at = timezone.now()
    feed.save(update_fields=["status", "trial", "pending", "cancelled", "ended_at"])
    deliveries.pause_group(feed.lane_id)
    publish(FeedCancelled(correlation_id=feed.id, conversation_id=feed.id))


def close_if_done(feed: Feed) -> None:
    """Completes the (locked) feed once its ledger is closed: exactly once a round."""
    if feed.status == FeedStatus.DELIVERING and feed.import_done and feed.pending == 0:
        Feed.objects.filter(id=feed.id).update(
            status=FeedStatus.COMPLETED, round=F("round") + 1, ended_at=timezone.now()
        )
        publish(
            FeedCompleted(
                correlation_id=feed.id,
                conversation_id=feed.id,
                occurrence=feed.round + 1,
                succeeded=feed.succeeded,
                failed=feed.failed,
                cancelled=feed.cancelled,
            )
        )
