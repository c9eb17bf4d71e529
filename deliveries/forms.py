"""What people enter about a destination. Secrets go in and are never shown again."""

import json
import re
from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from django.contrib.auth.models import Group
from django.db.models import QuerySet

from deliveries.addresses import problem_with_url, same_origin
from deliveries.answers import STATUS_MEANINGS
from deliveries.auth_forms import ELSEWHERE, AuthenticationFields
from deliveries.authentication import HIDDEN as MASK
from deliveries.commands import BOUNDS, add_destination, change_destination, problem_with_bounds
from deliveries.models import Destination
from deliveries.shown_urls import entered_url
from deliveries.signing import problem_with_secret
from deliveries.wire import problem_with_header

METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")
STORED = (
    "name", "url", "method", "headers", "auth", "signing_secret", "rate", "concurrency", "timeout",
    "max_attempts", "retry_first", "retry_factor", "retry_cap", "success_path", "success_value", "statuses",
    "group",
)  # fmt: skip


class HeadersField(forms.CharField):
    """Headers as lines. A value of dots stands for the one that is stored, as the form knows."""

    widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "placeholder": "X-Shop: main"})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return "\n".join(f"{name}: {MASK}" for name in value)
        return value

    def clean(self, value: Any) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in filter(None, map(str.strip, (value or "").splitlines())):
            name, _, value = line.partition(":")
            text = value.strip()
            if not text or problem_with_header(name, text):
                raise forms.ValidationError(f"Write each header as Name: value, unlike {line[:40]!r}.")
            if not text.isascii() and text != MASK:
                raise forms.ValidationError(f"The value of {name} may hold ASCII characters only.")
            headers[name] = text
        return headers


class StatusesField(forms.CharField):
    """What single statuses mean, as a JSON object."""

    widget = forms.Textarea(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> dict[str, str]:
        try:
            statuses = orjson.loads(value or "{}")
        except ValueError:
            statuses = None
        if not isinstance(statuses, dict) or not all(
            re.fullmatch(r"[1-5]\d\d", status) and isinstance(meaning, str) and meaning in STATUS_MEANINGS
            for status, meaning in statuses.items()
        ):
            raise forms.ValidationError('Write statuses as in {"404": "succeeded", "420": "again"}.')
        return statuses


if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Destination]
else:
    _ModelForm = forms.ModelForm  # not subscriptable when it runs


# What is said beside a field of a destination that is there already.
KEEPING = {
    "url": "Values of parameters such as api_key or token are not shown again; leave the dots to keep one.",
    "headers": "Leave the dots to keep one, remove the line to remove it.",
    "signing_secret": "Empty keeps what is stored.",
}


class DestinationForm(AuthenticationFields, _ModelForm):
    """A destination, with its lane kept in step by the commands that it is stored with."""

    method = forms.ChoiceField(choices=[(method, method) for method in METHODS], initial="POST")
    headers = HeadersField(
        required=False,
        help_text="One header on a line. Values are stored encrypted and never shown again.",
    )
    success_value = forms.CharField(
        required=False,
        label="Success: value there",
        help_text="Such as true, 1 or done; empty means true.",
    )
    statuses = StatusesField(
        required=False,
        label="Statuses that mean something else",
        help_text='Such as {"404": "succeeded"}.',
    )
    signing_secret = forms.CharField(
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="whsec_… Requests are then signed (Standard Webhooks).",
    )
    remove_signing_secret = forms.BooleanField(required=False, label="Sign no more")
    group = forms.ModelChoiceField(
        Group.objects.all(),
        required=False,
        empty_label="everybody",
        label="Group of people",
        help_text="Its members send to it and see its feeds. Without one, everybody may send to it.",
    )
    # What the person saw: somebody else's change meanwhile is not written over.
    seen_edition = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Destination
        fields = STORED
        labels = {
            "url": "URL",
            "rate": "Requests a second, at most",
            "concurrency": "Requests at once, at most",
            "timeout": "Seconds for one request",
            "max_attempts": "Attempts for a row",
            "retry_first": "First wait, in seconds",
            "retry_factor": "Factor of each further wait",
            "retry_cap": "Longest wait, in seconds",
            "success_path": "Success: place in the answer",
        }
        help_texts = {
            "name": "Letters, digits, - and _.",
            "url": "Where each row is sent. A mapping may add a path of its own.",
            "rate": "Empty: as fast as it answers.",
            "concurrency": "Empty: as many as the workers have.",
            "retry_factor": "3 makes of a minute three minutes, then nine.",
            "success_path": "Such as result.ok; empty: the status alone decides.",
        }

    def __init__(self, *args: Any, groups: QuerySet[Group] | None = None, **options: Any) -> None:
        """`groups`: one of these it must belong to; None: to any or to everybody."""
        super().__init__(*args, **options)
        if groups is not None:
            self.fields["group"] = forms.ModelChoiceField(
                groups,
                empty_label=None,
                label="Group of people",
                help_text="Its members send to it and see its feeds.",
            )
        self.stored = self.instance.pk is not None
        if self.stored:
            for name, how in KEEPING.items():
                self.fields[name].help_text += f" {how}"
            self.initial["url"] = self.instance.shown_url
            self.initial["headers"] = self.instance.headers
            self.initial["signing_secret"] = ""
            self.initial["seen_edition"] = self.instance.edition
            self.take_stored(self.instance.auth, self.instance.credentials)
            value = self.instance.success_value
            self.initial["success_value"] = value if isinstance(value, str) else json.dumps(value)
        self.fields["url"].widget.attrs["placeholder"] = "https://shop.example/api/products"

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        for name in BOUNDS:
            if problem := problem_with_bounds(name, values.get(name)):
                self.add_error(name, problem)
        values["credentials"] = self.clean_credentials(values.get("headers") or {}, moved=self._is_moved)
        return values

    def clean_url(self) -> str:
        entered: str = self.cleaned_data["url"].strip()
        try:
            url = entered_url(entered, self.instance.url)
        except LookupError as exc:
            raise forms.ValidationError(f"No value is stored for {exc.args[0]}; enter it.") from exc
        if problem := problem_with_url(url):
            raise forms.ValidationError(problem)
        if url != entered and not same_origin(url, self.instance.url):
            raise forms.ValidationError(f"{ELSEWHERE} enter the values that are dots again.")
        return url

    @property
    def _is_moved(self) -> bool:
        """Whether requests would go to another server than before."""
        url = self.cleaned_data.get("url")
        return self.stored and url is not None and not same_origin(url, self.instance.url)

    def clean_headers(self) -> dict[str, str]:
        headers: dict[str, str] = self.cleaned_data["headers"]
        known = self.instance.headers
        for name, text in headers.items():
            if text == MASK and known.get(name) and self._is_moved:
                raise forms.ValidationError(f"{ELSEWHERE} enter the value of {name} again.")
            if text == MASK and not known.get(name):
                raise forms.ValidationError(f"No value is stored for {name}; enter it.")
        return {name: known[name] if text == MASK else text for name, text in headers.items()}

    def clean_signing_secret(self) -> str:
        secret: str = self.cleaned_data["signing_secret"]
        if secret and (problem := problem_with_secret(secret)):
            raise forms.ValidationError(problem)
        return secret

    def clean_success_value(self) -> Any:
        """JSON where it is some, else the text as it stands."""
        text: str = self.cleaned_data["success_value"].strip()
        try:
            value = orjson.loads(text) if text else True  # as answers are read: NaN is none
        except ValueError:
            return text
        if rb"\u0000" in orjson.dumps(value):
            raise forms.ValidationError("Write the value without a NUL character.")
        return value

    def store(self) -> Destination:
        """Stores what was entered; raises DeliveryError with a sentence."""
        fields = {name: self.cleaned_data[name] for name in (*STORED, "credentials")}
        if not self.stored:
            return add_destination(**fields)
        if self.cleaned_data.get("remove_signing_secret"):
            fields["signing_secret"] = ""
        elif not fields["signing_secret"]:
            del fields["signing_secret"]
        return change_destination(self.instance.pk, edition=self.cleaned_data["seen_edition"], **fields)
