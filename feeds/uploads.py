"""Uploads: streamed to disk whatever their size, and refused before they are read when they are too large."""

from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import TemporaryFileUploadHandler

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

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        try:
            self.file.write(raw_data)
        except OSError:
            self.file.close()  # and deletes it: the room is needed
            raise
