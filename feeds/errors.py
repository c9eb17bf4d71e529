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


class TooLarge(FeedError):
    """there are more rows than a spreadsheet takes."""
