"""The part of a destination's form that says how it lets us in. Secrets go in and are never shown again."""

from typing import Any

from django import forms

from deliveries.addresses import problem_with_url, same_origin
from deliveries.authentication import FIELDS, Auth, problem_with
from deliveries.shown_urls import entered_url, shown_url

KEPT = "A value is stored. Leave this empty to keep it."
# Secrets are never shown again; so they must not be had by sending them to a server of one's own either.
ELSEWHERE = "The address leads to another server than before, to which nothing stored is sent:"


def _secret(label: str) -> forms.CharField:
    attrs = {"autocomplete": "new-password", "spellcheck": "false"}
    return forms.CharField(
        required=False, label=label, widget=forms.PasswordInput(attrs=attrs), max_length=4000
    )


def _text(label: str, help_text: str = "", **attrs: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"} | attrs)
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget, max_length=2000)


class AuthenticationFields(forms.Form):
    """One choice, and what each choice needs; only what belongs to the chosen one is looked at."""

    auth = forms.ChoiceField(
        choices=Auth.choices,
        initial=Auth.NONE,
        required=False,
        label="How it lets us in",
        widget=forms.RadioSelect,
    )
    token = _secret("Token")
    user = _text("User name")
    password = _secret("Password")
    key_header = _text("Name of the header", "Such as X-API-Key.")
    key = _secret("Key")
    token_url = _text(
        "Token URL", "Where Rowpost gets an access token, such as https://login.shop.example/token."
    )
    client_id = _text("Client id")
    client_secret = _secret("Client secret")
    scope = _text("Scope", "Where the third party asks for one; several are separated by spaces.")
    audience = _text("Audience", "Where the third party asks for one.")
    secret_in_body = forms.BooleanField(
        required=False,
        label="Send id and secret in the body",
        help_text="Only if the third party wants it so; else they go into the header Authorization.",
    )

    def take_stored(self, auth: str, credentials: dict[str, str] | None) -> None:
        """Shows what is stored, apart from the secrets, of which it says that they are there."""
        self.stored_auth, self.stored_credentials = auth, dict(credentials or {})
        for field in FIELDS[auth]:
            value = self.stored_credentials.get(field.name, "")
            if not field.secret:
                self.initial[field.name] = shown_url(value) if field.name == "token_url" else value
            elif value:
                self.fields[field.name].help_text = KEPT

    def clean_auth(self) -> str:
        return self.cleaned_data["auth"] or Auth.NONE

    def clean_credentials(self, headers: dict[str, str], *, moved: bool) -> dict[str, str] | None:
        """What was entered for the choice, with the stored secrets where they were left empty, unless they
        would go to another server than before."""
        auth = self.cleaned_data.get("auth")
        if auth is None:
            return None
        entered = {field.name: _written(self.cleaned_data.get(field.name)) for field in FIELDS[auth]}
        if problem := self._take_token_url(entered, same_auth=auth == self.stored_auth):
            self.add_error("token_url", problem)
            return None
        if auth == self.stored_auth:
            moved = moved or self._token_url_moved(entered)
            for field in FIELDS[auth]:
                kept = self.stored_credentials.get(field.name, "")
                if not field.secret or entered[field.name] or not kept:
                    continue
                if moved:
                    self.add_error(field.name, f"{ELSEWHERE} enter the {field.label} again.")
                    return None
                entered[field.name] = kept
        place, problem = problem_with(auth, entered, headers)
        if problem:
            self.add_error(place, problem)
        return entered or None

    def _take_token_url(self, entered: dict[str, str], *, same_auth: bool) -> str:
        """Puts stored values in the place of dots; returns what keeps it from that, if anything does."""
        shown = entered.get("token_url", "")
        before = self.stored_credentials.get("token_url", "") if same_auth else ""
        try:
            url = entered_url(shown, before)
        except LookupError as exc:
            return f"No value is stored for {exc.args[0]}; enter it."
        if url != shown and not problem_with_url(url) and not same_origin(url, before):
            return f"{ELSEWHERE} enter the values that are dots again."
        if url:
            entered["token_url"] = url
        return ""

    def _token_url_moved(self, entered: dict[str, str]) -> bool:
        url, before = entered.get("token_url", ""), self.stored_credentials.get("token_url", "")
        return bool(before) and not problem_with_url(url) and not same_origin(url, before)

    stored_auth: str = Auth.NONE
    stored_credentials: dict[str, str] = {}


def _written(value: Any) -> str:
    return ("yes" if value else "") if isinstance(value, bool) else str(value or "")
