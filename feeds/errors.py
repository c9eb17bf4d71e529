"""What can go wrong with feeds. Each docstring ends the sentence "Raised when…"."""


class FeedError(Exception):
    """a feed cannot be made or changed as asked; the text says why and what to do."""


class DuplicateFile(FeedError):
    """the same file was sent before and the sender asked not to send it twice."""


class Unsendable(FeedError):
    """the first look at a file shows that nothing of it can be sent; the text says why."""


class WrongState(FeedError):
    """a feed is not in a state in which this can be done."""


class Incomplete(FeedError):
    """the import found other rows than the check had counted: the stored file has changed."""


class MappingChanged(FeedError):
    """a mapping is stored from a page that had not seen the version that is the newest by now."""

    def __init__(self, newest: object, *, same: bool) -> None:
        super().__init__(
            f"{newest} is there by now, which this page had not seen: somebody else stored it, or another "
            f"window. Save once more to store yours as the version after it."
        )
        self.newest, self.same = newest, same  # as what was to be stored


class TooLarge(FeedError):
    """there are more rows than a spreadsheet takes."""
