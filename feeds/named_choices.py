"""Choices of which there may be thousands: up to a hundred are a list, of more one is chosen by its name."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db.models import Model, QuerySet
from django.urls import reverse_lazy

from feeds.folding import contains

OFFERED = 100  # in a list that a person looks through
SUGGESTED = 20  # names that match what was typed so far
SIMILAR = 5  # names that are told where one is not known


def are_many(choices: QuerySet[Any]) -> bool:
    """More than a list shows."""
    return len(choices.values_list("pk", "name")[: OFFERED + 1]) > OFFERED


def suggested(choices: QuerySet[Any], text: str) -> list[str]:
    return _names_like(choices, text, SUGGESTED)


def _names_like(choices: QuerySet[Any], text: str, count: int) -> list[str]:
    """The first by name that have this text in their name."""
    alike = contains("name", text.strip())
    found: Iterable[str] = choices.filter(alike).values_list("name", flat=True)[:count]
    return list(found)


class NameField(forms.CharField):
    """The name of one of `choices`, suggested while it is typed. Without scripts it is typed in full, or
    chosen on the page that lists them all."""

    def __init__(self, choices: QuerySet[Any], *, kind: str, **options: Any) -> None:
        attrs = {
            "list": f"{kind}-names",
            "autocomplete": "off",
            "aria-describedby": f"{kind}-hint",
            "hx-get": reverse_lazy("feeds:names", args=[kind]),
            "hx-trigger": "focus once, input changed delay:200ms",
            "hx-target": f"#{kind}-names",
            "hx-swap": "innerHTML",
            # What the form around it says of its own answer does not hold for this one.
            "hx-select": "unset",
            "hx-disabled-elt": "unset",
        }
        super().__init__(widget=forms.TextInput(attrs=attrs), **options)
        self.choices, self.kind = choices, kind

    def clean(self, value: Any) -> Model | None:
        name = super().clean(value)
        if not name:
            return None
        found: Model | None = self.choices.filter(name=name).first()
        if found is None:
            raise forms.ValidationError(self._unknown(name))
        return found

    def _unknown(self, name: str) -> str:
        similar = _names_like(self.choices, name, SIMILAR)
        told = f"There is no {self.kind} called “{name}”."
        return f"{told} Do you mean {' or '.join(similar)}?" if similar else f"{told} Choose another."
