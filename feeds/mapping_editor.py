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


@dataclass
class Editor:
    """What stands in the page. One of `draft` and `text` is the mapping; a draft is None in JSON."""

    draft: Draft | None
    text: str = ""
    problem: str = ""  # what is wrong, where it is not said beside a field
    fresh_field: int = 0  # the number of the field, or the rule, that was just added, to be gone on with
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
        named = [column for column in dict.fromkeys(columns) if column.strip()]
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
            draft.fields.append(DraftField(column=what, to=what))
            self.fresh_field = len(draft.fields)
        elif verb == "constant":
            draft.fields.append(DraftField("constant"))
            self.fresh_field = len(draft.fields)
        elif verb == "rule":
            draft.rules.append(DraftRule())
            self.fresh_rule = len(draft.rules)
        elif verb in ("remove", "unrule") and what.isdecimal():
            parts: list[DraftField] | list[DraftRule] = draft.fields if verb == "remove" else draft.rules
            del parts[int(what) : int(what) + 1]


def text_of(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _draft(post: QueryDict) -> Draft:
    columns = [post.getlist(f"field-{name}") for name in FIELD_NAMES]
    fields = [DraftField(**dict(zip(FIELD_NAMES, row, strict=True))) for row in zip(*columns, strict=False)]
    required, unique = (set(post.getlist(f"rule-{name}")) for name in ("required", "unique"))
    texts = zip(*(post.getlist(f"rule-{name}") for name in ("column", "pattern", "one_of")), strict=False)
    rules = [
        DraftRule(column, str(i) in required, pattern, one_of, str(i) in unique)
        for i, (column, pattern, one_of) in enumerate(texts)
    ]
    named = {name: post.get(name, "") for name in ("method", "path", "content_type")}
    return Draft(**named, fields=fields, rules=rules)
