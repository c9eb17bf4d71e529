"""What stops a whole file from being read."""


class Unreadable(Exception):
    """Raised when a file as a whole cannot be read as a feed.

    `str(error)` is one sentence for people; `code` is stable and for programs: `empty`, `header_only`,
    `binary`, `not_csv`, `truncated_gzip`, `broken_gzip`, `gzip_ratio`, `unknown_encoding`, `wrong_encoding`,
    `no_dialect`, `bad_header`, `too_many_columns`.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code

    def __reduce__(self) -> tuple[type["Unreadable"], tuple[str, str]]:
        # The default passes only the sentence, so that the error could not be read back from a pickle.
        return type(self), (self.code, str(self))
