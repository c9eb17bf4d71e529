"""Columns that files name otherwise than a mapping does."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from feeds import queries
from feeds.aliases import confirm_columns, remove_alias
from feeds.errors import WrongState
from feeds.views.access import SignedIn, for_senders


@require_POST
@for_senders
def confirm(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """The person says which columns are meant; what is left open is asked again."""
    feed = queries.get_feed(request.user, feed_id)
    pairs = zip(request.POST.getlist("column"), request.POST.getlist("found"), strict=False)
    chosen = {column: found for column, found in pairs if found}
    if not chosen or len(set(chosen.values())) < len(chosen):
        messages.warning(request, "Choose a column of the file for each missing one, each of them once.")
        return redirect("feeds:feed", feed.id)
    try:
        confirm_columns(feed.id, chosen=chosen, user_id=request.user.pk)
    except WrongState as exc:
        messages.warning(request, f"{exc} This is how it stands now.")
    else:
        messages.success(request, "Noted, for this feed and later ones. The file is read again with it.")
    return redirect("feeds:feed", feed.id)


@require_POST
def remove(request: SignedIn, alias_id: int) -> HttpResponse:
    """Later files are asked about again; feeds that were read keep what they were read with."""
    alias = remove_alias(alias_id, user_id=request.user.pk)
    if alias is None:
        messages.warning(request, "Somebody has removed it already.")
        return redirect("feeds:mappings")
    messages.success(request, f"Removed: {alias.found} is no longer taken for {alias.column}.")
    return redirect("feeds:mapping", alias.mapping_name)
