"""A feed's progress in a terminal."""

import time
from typing import Any

from feeds.models import Feed, FeedStatus

WIDTH = 30
LINE_EVERY = 5.0  # seconds between two lines where nothing can be overwritten


class ProgressBar:
    """One line that is overwritten; where the output is no terminal, a line now and then."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._terminal = bool(getattr(out, "isatty", lambda: False)())
        self._began = time.monotonic()
        self._shown = 0.0

    def show(self, feed: Feed) -> None:
        now = time.monotonic()
        if not self._terminal and now - self._shown < LINE_EVERY and not feed.is_over:
            return
        self._shown = now
        self._write(f"\r\x1b[2K{self._line(feed)}" if self._terminal else f"{self._line(feed)}\n")

    def end(self) -> None:
        if self._terminal:
            self._write("\n")

    def _line(self, feed: Feed) -> str:
        if feed.status == FeedStatus.CHECKING:
            return "Reading the file…"
        if feed.status == FeedStatus.REJECTED:
            return "Rejected."
        done = feed.total - feed.pending
        share = done / feed.total if feed.total else 1.0
        bar = "█" * int(share * WIDTH) + "░" * (WIDTH - int(share * WIDTH))
        seconds = max(0.001, time.monotonic() - self._began)
        failed = f"  {feed.failed:,} failed" if feed.failed else ""
        return f"{bar} {share:4.0%}  {done:,}/{feed.total:,}{failed}  {done / seconds:,.0f} rows/s"

    def _write(self, text: str) -> None:
        write = getattr(self._out, "_out", self._out)  # past Django's wrapper, which adds line ends
        write.write(text)
        write.flush()
