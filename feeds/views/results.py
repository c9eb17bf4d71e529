"""The three files that tell what became of each row, and the failed one as a spreadsheet."""

import uuid
from collections.abc import Iterator
from urllib.parse import quote

from django.contrib import messages
from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from feeds import queries
from feeds.models import Feed
from feeds.results import write_results
from feeds.spreadsheet import CONTENT_TYPE, problem_with_size, write_xlsx
from feeds.views.access import SignedIn


def download(request: SignedIn, feed_id: uuid.UUID, kind: str) -> HttpResponseBase:
    feed = queries.get_feed(request.user, feed_id)
    if kind not in queries.RESULT_FILES:
        raise Http404
    group = request.GET.get("group", "") if kind == "failed" else ""
    rows = queries.result_rows(feed, kind, group=group)
    return _file(feed, f"{kind}.csv", "text/csv; charset=utf-8", write_results(rows, feed.columns))


def spreadsheet(request: SignedIn, feed_id: uuid.UUID) -> HttpResponseBase:
    """The failed rows, all cells as text."""
    feed = queries.get_feed(request.user, feed_id)
    text = queries.failed_text(feed)
    if problem := problem_with_size(rows=feed.failed, columns=len(feed.columns), text=text):
        messages.warning(request, f"{problem} Download the CSV file instead: it takes them all.")
        return redirect("feeds:feed", feed.id)
    rows = queries.result_rows(feed, "failed", group=request.GET.get("group", ""))
    return _file(feed, "failed.xlsx", CONTENT_TYPE, write_xlsx(rows, feed.columns))


def _file(feed: Feed, ending: str, content_type: str, content: Iterator[bytes]) -> StreamingHttpResponse:
    stem = feed.name.removesuffix(".gz").rsplit(".", 1)[0]
    return StreamingHttpResponse(
        content,
        content_type=content_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(f'{stem}-{ending}')}"},
    )
