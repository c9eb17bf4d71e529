"""The three files that tell what became of each row, as CSV and as spreadsheets."""

import uuid
from collections.abc import Iterator
from urllib.parse import quote

from django.contrib import messages
from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from feeds import queries
from feeds.models import Feed
from feeds.results import ResultRow, write_results
from feeds.spreadsheet import CONTENT_TYPE, problem_with_size, write_xlsx
from feeds.views.access import SignedIn


def download(request: SignedIn, feed_id: uuid.UUID, kind: str) -> HttpResponseBase:
    feed = queries.get_feed(request.user, feed_id)
    content = write_results(_rows(request, feed, kind), feed.columns)
    return _file(feed, f"{kind}.csv", "text/csv; charset=utf-8", content)


def spreadsheet(request: SignedIn, feed_id: uuid.UUID, kind: str) -> HttpResponseBase:
    """The same with all cells as text, for programs that would take some for numbers or formulas."""
    feed = queries.get_feed(request.user, feed_id)
    rows = _rows(request, feed, kind)
    count, text = queries.result_count(feed, kind), queries.result_text(feed, kind)
    if problem := problem_with_size(rows=count, columns=len(feed.columns), text=text):
        messages.warning(request, f"{problem} Download the CSV file instead: it takes them all.")
        return redirect("feeds:feed", feed.id)
    return _file(feed, f"{kind}.xlsx", CONTENT_TYPE, write_xlsx(rows, feed.columns))


def _rows(request: SignedIn, feed: Feed, kind: str) -> Iterator[ResultRow]:
    if kind not in queries.RESULT_FILES:
        raise Http404
    group = request.GET.get("group", "") if kind == "failed" else ""
    return queries.result_rows(feed, kind, group=group)


def _file(feed: Feed, ending: str, content_type: str, content: Iterator[bytes]) -> StreamingHttpResponse:
    stem = feed.name.removesuffix(".gz").rsplit(".", 1)[0]
    return StreamingHttpResponse(
        content,
        content_type=content_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(f'{stem}-{ending}')}"},
    )
