"""What goes wrong in a page beside what a test looks at."""

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

# A navigation ends what the page before it had under way, such as a poll; and a download is none.
ENDED_BY_US = "net::ERR_ABORTED"


class Watch:
    """Console errors (a violated content security policy is one), failed requests and answers, and requests
    to another host, of all pages of a context."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self._address = address
        self._expected: set[int] = set()
        self.problems: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"script: {error.error}"))
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def expect(self, *statuses: int) -> None:
        """Answers with these statuses are what the test wants."""
        self._expected |= set(statuses)

    def assert_nothing_wrong(self) -> None:
        assert not self.problems, "\n".join(self.problems)

    def _console(self, message: ConsoleMessage) -> None:
        expected = any(f"status of {status}" in message.text for status in self._expected)
        if message.type == "error" and not expected:
            self.problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._address}/", "data:", "blob:")):
            self.problems.append(f"another host: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != ENDED_BY_US:
            self.problems.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._expected:
            self.problems.append(f"{response.status}: {response.request.method} {response.url}")


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider
