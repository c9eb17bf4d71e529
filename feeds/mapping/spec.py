"""A mapping's document, read in full: what each key means and what it may hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from feeds.mapping.bodies import (
    Array,
    Body,
    Constant,
    EveryColumn,
    EveryColumnAsForm,
    Filled,
    NoBody,
    Node,
    Object,
    Tree,
)
from feeds.mapping.document import as_choice, as_object, load, own_copy
from feeds.mapping.errors import MappingError, quoted
from feeds.mapping.fields import as_form, as_tree, checked_keys, parse_fields
from feeds.mapping.paths import PathTemplate, parse_path
from feeds.mapping.places import Place, parse_parts, within_text
from feeds.mapping.rules import Rule, parse_rules
from feeds.mapping.typed import Types, parse_types

VERSION: Final = 1
METHODS: Final = ("POST", "PUT", "PATCH", "DELETE", "GET")
CONTENT_TYPES: Final = ("json", "form", "none")

_KEYS = ("version", "method", "path", "query", "content_type", "types", "fields", "body", "rules")


@dataclass(frozen=True, slots=True)
class Spec:
    """A document understood. What it leaves to the destination's method is None."""

    document: dict[str, object]
    method: str | None
    path: PathTemplate
    body: Body | None
    rules: tuple[Rule, ...] = ()

    def places(self) -> Iterator[Place]:
        yield from self.path.places()
        if self.body is not None:
            yield from self.body.places()

    def columns(self) -> tuple[str, ...]:
        """The columns that the document names, in its order, each once."""
        named = [place.column for place in self.places()] + [rule.column for rule in self.rules]
        return tuple(dict.fromkeys(named))


def read_spec(document: object) -> Spec:
    """The meaning of a document: a JSON object, or its text. Raises MappingError."""
    if isinstance(document, str | bytes):
        document = load(document, "The mapping")
    given = as_object(own_copy(document, "The mapping"), "The mapping", _KEYS)
    version = given.get("version", VERSION)
    if isinstance(version, bool) or version != VERSION:
        raise MappingError(f"version must be {VERSION}, the only one that there is so far.")
    method = as_choice(given["method"], "method", METHODS) if "method" in given else None
    types = parse_types(given.get("types", {}))
    path = parse_path(given.get("path", ""), given.get("query", {}), types)
    spec = Spec(given, method, path, _body(given, types), parse_rules(given.get("rules", {})))
    if method:
        body_for(spec.body, method)
    return spec


def body_for(body: Body | None, method: str) -> Body:
    """The body that a request of this method has; raises MappingError when it can have none."""
    if body is None:
        return NoBody() if method in ("GET", "DELETE") else EveryColumn()
    if method == "GET" and not isinstance(body, NoBody):
        raise MappingError(
            "A GET request has no body; use query instead of fields or body, or another method."
        )
    return body


def _body(given: dict[str, object], types: Types) -> Body | None:
    content_type = ""
    if "content_type" in given:
        content_type = as_choice(given["content_type"], "content_type", CONTENT_TYPES)
    if "fields" in given and "body" in given:
        raise MappingError("The mapping has both fields and body; take one of the two.")
    if content_type == "none" and ("fields" in given or "body" in given):
        raise MappingError(
            'content_type is "none", so there can be no fields and no body; remove one or the other.'
        )
    if "body" in given:
        if content_type == "form":
            raise MappingError("A form cannot have a JSON body; list its parameters under fields.")
        return Tree(_template(_parsed(given["body"]), "body", types))
    if "fields" in given:
        fields = parse_fields(given["fields"], types)
        return as_form(fields) if content_type == "form" else as_tree(fields)
    plain: dict[str, Body] = {"json": EveryColumn(), "form": EveryColumnAsForm(), "none": NoBody()}
    return plain.get(content_type)


def _parsed(body: object) -> object:
    """The body's template as JSON; as a text it is parsed here, once, before any cell is near it."""
    if not isinstance(body, str):
        return body
    hint = ' Places stand inside quotes, such as "{price|number}".'
    return own_copy(load(body, "body", hint=hint), "body")


def _template(value: object, where: str, types: Types) -> Node:
    if isinstance(value, dict):
        members = [(_key(key, where, types), member) for key, member in value.items()]
        return Object(tuple((key, _template(member, f"{where}.{key}", types)) for key, member in members))
    if isinstance(value, list):
        return Array(tuple(_template(item, f"{where}[{i}]", types) for i, item in enumerate(value)))
    if not isinstance(value, str):
        return Constant(value)
    parts = parse_parts(value, where, types)
    if len(parts) == 1 and isinstance(place := parts[0], Place):
        return place
    return Filled(within_text(parts, where))


def _key(key: str, where: str, types: Types) -> str:
    parts = parse_parts(key, f"{where}: the key {quoted(key)}", types)
    if any(isinstance(part, Place) for part in parts):
        raise MappingError(f"{where}: the key {quoted(key)} has a place; places stand in values only.")
    return checked_keys(["".join(map(str, parts))], where)[0]
