"""Uploads: streamed to disk whatever their size, and refused before they are read when they are too large."""

import contextlib
from collections.abc import Callable
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse

LARGEST = 2 * 1024**3  # bytes of one upload
_FORM = 1024**2  # what the form around the file may take


class FeedUploadHandler(TemporaryFileUploadHandler):
    """Writes to a temporary file; memory stays flat."""

    def handle_raw_input(
        self,
        input_data: IO[bytes],
        META: dict[str, Any],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        if content_length > LARGEST + _FORM:
            raise RequestDataTooBig(
                "An upload may have at most 2 GB in all. Upload several files one after the other; split a "
                "larger one, or compress it with gzip and upload the .gz."
            )


def leave_nothing_behind(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Closes, and thereby deletes, also the file that was being received when something went wrong. Django
    leaves it to the garbage collection, and its room is needed."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for handler in request.upload_handlers:
            if file := getattr(handler, "file", None):
                with contextlib.suppress(OSError):  # the disk is full for its last bytes too
                    file.close()
        return response

    return respond
