"""The three files that tell what became of each row."""

import uuid
from urllib.parse import quote

from django.http import Http404, HttpResponseBase, StreamingHttpResponse

from feeds import queries
from feeds.results import write_results
from feeds.views.access import SignedIn


def download(request: SignedIn, feed_id: uuid.UUID, kind: str) -> HttpResponseBase:
    feed = queries.get_feed(request.user, feed_id)
    if kind not in queries.RESULT_FILES:
        raise Http404
    group = request.GET.get("group", "") if kind == "failed" else ""
    rows = queries.result_rows(feed, kind, group=group)
    stem = feed.name.removesuffix(".gz").rsplit(".", 1)[0]
    return StreamingHttpResponse(
        write_results(rows, feed.columns),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(f'{stem}-{kind}.csv')}"},
    )
