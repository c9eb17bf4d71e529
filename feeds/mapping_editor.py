"""The page on which a mapping is written, between two requests: as a form, or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from django.http import QueryDict

from feeds.mapping import Mapping, MappingError
from feeds.mapping.draft import Draft, DraftField, DraftRule, NotInForm

FIELD_NAMES = (
    "kind", "column", "value", "to", "type", "decimal", "thousands", "yes", "no", "format", "by", "empty",
)  # fmt: skip
STARTED_WITH = 30  # columns of a file that a new mapping begins with
LONGEST_NUMBER = 9  # digits


@dataclass
class Editor:
    """What stands in the page. One of `draft` and `text` is the mapping; a draft is None in JSON."""

    draft: Draft | None
    text: str = ""
    problem: str = ""  # what is wrong, where it is not said beside a field
    fresh_field: int = 0  # number of the field, or the rule, that was just added, to be gone on with
    fresh_rule: int = 0

    @classmethod
    def of(cls, document: object, *, as_json: bool) -> Self:
        """A stored document: as a form if it can be one, and nobody asks for the JSON."""
        if as_json:
            return cls(None, text_of(document))
        try:
            return cls(Draft.of(document))
        except NotInForm as exc:
            return cls(None, text_of(document), f"{exc} So it is shown as JSON.")

    @classmethod
    def started(cls, columns: Sequence[str]) -> Self:
        """A new mapping: the file's columns under their own names."""
        named = [column for column in columns if column.strip()]
        return cls(Draft(fields=[DraftField(column=column, to=column) for column in named[:STARTED_WITH]]))

    @classmethod
    def posted(cls, post: QueryDict) -> Self:
        """The page as it comes back."""
        if post.get("as") == "form":
            return cls(_draft(post))
        return cls(None, post.get("document", ""))

    @property
    def document(self) -> str:
        """As JSON text; raises MappingError for what cannot even be written as such."""
        return self.text if self.draft is None else text_of(self.draft.document())

    def do(self, action: str) -> None:
        """A button other than Save: to add or remove a part, or to change between form and JSON."""
        verb, _, what = action.partition(":")
        if verb == "form":
            self._as_form()
        elif verb == "json" and self.draft is not None:
            self.text, self.draft = self.document, None
        elif self.draft is not None:
            self._change(self.draft, verb, what)

    def check(self) -> None:
        """Says what is wrong, where it is wrong."""
        try:
            Mapping.parse(self.document)
        except MappingError as exc:
            self.blame(str(exc))

    def blame(self, problem: str) -> None:
        self.problem = self.draft.blame(problem) if self.draft else problem

    def _as_form(self) -> None:
        try:
            self.draft = Draft.of(self.text)
        except NotInForm as exc:
            self.problem = f"{exc} Go on in JSON."
        except MappingError as exc:
            self.problem = str(exc)

    def _change(self, draft: Draft, verb: str, what: str) -> None:
        if verb == "add":
            self.fresh_field = draft.add_field(DraftField(column=what, to=what))
        elif verb == "constant":
            self.fresh_field = draft.add_field(DraftField("constant"))
        elif verb == "rule":
            self.fresh_rule = draft.add_rule()
        elif verb == "remove":
            draft.fields = [each for each in draft.fields if str(each.number) != what]
        elif verb == "unrule":
            draft.rules = [each for each in draft.rules if str(each.number) != what]


def text_of(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _draft(post: QueryDict) -> Draft:
    columns = [post.getlist(f"field-{name}") for name in FIELD_NAMES]
    fields = [
        DraftField(number=_number(number), **dict(zip(FIELD_NAMES, row, strict=True)))
        for number, *row in zip(post.getlist("field-number"), *columns, strict=False)
    ]
    required, unique = (set(post.getlist(f"rule-{name}")) for name in ("required", "unique"))
    texts = (post.getlist(f"rule-{name}") for name in ("number", "column", "pattern", "one_of"))
    rules = [
        DraftRule(column, number in required, pattern, one_of, number in unique, _number(number))
        for number, column, pattern, one_of in zip(*texts, strict=False)
    ]
    named = {name: post.get(name, "") for name in ("method", "path", "content_type")}
    return Draft(**named, fields=fields, rules=rules)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < LONGEST_NUMBER else 0
