"""What people enter."""

import uuid
from collections.abc import Iterator
from typing import Any, Self

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet

from deliveries.forms import METHODS
from feeds import queries
from feeds.commands import LONGEST_MAPPING_NAME, create_feed, problem_with_name
from feeds.mapping import Mapping as ParsedMapping
from feeds.mapping import MappingError
from feeds.models import Feed, Mapping
from feeds.named_choices import NameField, are_many
from feeds.uploads import LARGEST

FEWEST_LINES, MOST_LINES, LINE = 3, 16, 90  # of a body: lines shown, and characters of one


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One file or several, each checked like one."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        files = data if isinstance(data, list | tuple) and data else [data or None]
        return [super(FilesField, self).clean(file, initial) for file in files]


def _mapping(key: str) -> Mapping | None:
    return Mapping.objects.filter(id=int(key)).first()


PLAIN = "Each row as a JSON object of its columns"


def _mapping_field() -> forms.Field:
    """The newest version of each mapping."""
    label, newest = "What each row becomes", queries.newest_mappings()
    if are_many(newest):
        return NameField(newest, kind="mapping", label=label, required=False)
    choices = [("", PLAIN), *((str(mapping.id), str(mapping)) for mapping in newest)]
    return forms.TypedChoiceField(
        label=label,
        choices=choices,
        required=False,
        coerce=_mapping,
        empty_value=None,
        error_messages={"invalid_choice": "There is a newer version of this mapping: choose once more."},
    )


def _destination_field(user: queries.Viewer) -> forms.Field:
    visible, required = queries.visible_destinations(user), "Choose where the rows go."
    if are_many(visible):
        errors = {"required": required}
        return NameField(visible, kind="destination", label="Destination", error_messages=errors)
    return forms.ModelChoiceField(
        queryset=visible,
        label="Destination",
        empty_label=None,
        error_messages={"required": required, "invalid_choice": "It is gone; choose again."},
    )


class MappingChoiceForm(forms.Form):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["mapping"] = _mapping_field()

    @property
    def by_name(self) -> bool:
        return isinstance(self.fields["mapping"], NameField)

    @classmethod
    def of(cls, feed: Feed) -> Self:
        """The form with the mapping that the feed has, in its newest version."""
        form = cls()
        newest = queries.newest_mappings().filter(name=feed.mapping_base).first()
        if newest is not None:
            form.initial["mapping"] = newest.name if form.by_name else str(newest.pk)
        return form


class UploadForm(forms.Form):
    file = FilesField(
        label="Files",
        widget=FilesInput(
            attrs={
                "accept": ".csv,.tsv,.txt,.gz,text/csv",
                "aria-describedby": "file-hint",
                "data-largest": LARGEST,
            }
        ),
        error_messages={
            "required": "Choose a file first.",
            "empty": "The file is empty: it has no header and no rows.",
        },
    )
    send_at_once = forms.TypedChoiceField(
        label="Then",
        choices=[("", "Check it first and let me press Send"), ("on", "Send it as soon as it is checked")],
        widget=forms.RadioSelect,
        coerce=bool,
        required=False,
        initial="",
    )

    # New each time that the form is shown: pressed twice, it uploads once.
    ticket = forms.UUIDField(required=False, initial=uuid.uuid4, widget=forms.HiddenInput)

    def __init__(self, *args: Any, user: queries.Viewer, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["destination"] = _destination_field(user)
        self.fields["mapping"] = _mapping_field()
        self._user = user

    def propose(self, *, destination: str, mapping: str) -> None:
        """Those that a person came from, by their names; else the destination of their last feed."""
        among: list[tuple[str, str, QuerySet[Any]]] = [
            ("destination", destination or self._last_used(), queries.visible_destinations(self._user)),
            ("mapping", mapping, queries.newest_mappings()),
        ]
        for field, name, choices in among:
            key = choices.filter(name=name).values_list("pk", flat=True).first() if name else None
            if key is not None:
                self.initial[field] = name if self.names[field] else key

    def _last_used(self) -> str:
        """Its name. Without it the first of the list would be offered, and a hurried person send to that."""
        theirs = Feed.objects.filter(owner_id=self._user.pk).order_by("-id")
        return theirs.values_list("destination__name", flat=True).first() or ""

    @property
    def names(self) -> dict[str, bool]:
        """Which are chosen by name, for there are too many for a list."""
        return {name: isinstance(self.fields[name], NameField) for name in ("destination", "mapping")}

    @property
    def has_destinations(self) -> bool:
        return queries.visible_destinations(self._user).exists()

    def create_feeds(self, *, owner_id: int) -> Iterator[Feed]:
        """A feed of each file, one after the other; raises OSError at the one that cannot be stored."""
        data = self.cleaned_data
        files: list[UploadedFile[Any]] = data["file"]
        for place, file in enumerate(files):
            yield create_feed(
                content=file.chunks(),
                name=file.name or "unnamed.csv",
                destination=data["destination"],
                mapping=data["mapping"],
                owner_id=owner_id,
                send_at_once=bool(data["send_at_once"]),
                ticket=self._ticket(place, file.name),
            )

    def _ticket(self, place: int, name: str | None) -> uuid.UUID | None:
        """Of one file: another file, or other answers beside it, are another upload."""
        data = self.cleaned_data
        if data["ticket"] is None:
            return None
        said = (place, name, data["destination"].id, data["mapping"], data["send_at_once"])
        return uuid.uuid5(data["ticket"], repr(said))


class MappingForm(forms.Form):
    """A mapping by name; storing it makes the next version."""

    name = forms.CharField(
        max_length=LONGEST_MAPPING_NAME, help_text="People choose it by this name when they upload."
    )
    document = forms.CharField(
        label="What a row becomes, as JSON",
        widget=forms.Textarea(attrs={"rows": 18, "spellcheck": "false"}),
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if problem := problem_with_name(name):
            raise forms.ValidationError(problem)
        return name

    def clean_document(self) -> str:
        text: str = self.cleaned_data["document"]
        try:
            ParsedMapping.parse(text)
        except MappingError as exc:
            raise forms.ValidationError(str(exc)) from exc
        return text


class TrialForm(forms.Form):
    """One request for a test."""

    method = forms.ChoiceField(choices=[(method, method) for method in METHODS])
    path = forms.CharField(required=False, label="Path after the URL", help_text="Mostly empty.")
    content_type = forms.CharField(required=False, label="Content type")
    body = forms.CharField(required=False, widget=forms.Textarea(attrs={"spellcheck": "false"}), strip=False)
    # New each time that the form is shown: pressed twice, it sends once.
    ticket = forms.UUIDField(required=False, initial=uuid.uuid4, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        lines = str(self["body"].value() or "").splitlines()
        wanted = sum(1 + len(line) // LINE for line in lines)
        self.fields["body"].widget.attrs["rows"] = max(FEWEST_LINES, min(wanted, MOST_LINES))

    def clean_ticket(self) -> uuid.UUID:
        return self.cleaned_data["ticket"] or uuid.uuid4()

    def clean_path(self) -> str:
        path: str = self.cleaned_data["path"]
        if path and path[0] not in "/?":
            raise forms.ValidationError("Begin with / or ?.")
        return path

    def clean_content_type(self) -> str:
        text: str = self.cleaned_data["content_type"]
        if not text.isascii() or not text.isprintable():
            raise forms.ValidationError("Use plain ASCII, such as application/json.")
        return text


class CorrectionForm(forms.Form):
    """How a file is written, where detection was wrong."""

    encoding = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Detect it"),
            ("utf-8", "UTF-8"),
            ("utf-16", "UTF-16"),
            ("cp1252", "Windows, Western Europe (1252)"),
            ("cp1250", "Windows, Central Europe (1250)"),
            ("cp1251", "Windows, Cyrillic (1251)"),
            ("iso-8859-15", "ISO 8859-15"),
            ("cp850", "DOS, Western Europe (850)"),
            ("mac-roman", "Mac Roman"),
            ("shift_jis", "Shift JIS"),
            ("gb18030", "GB 18030"),
        ],
    )
    delimiter = forms.ChoiceField(
        required=False,
        choices=[("", "Detect it"), (",", "Comma"), (";", "Semicolon"), ("tab", "Tab"), ("|", "Pipe")],
    )
    preamble = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=1000,
        label="Lines before the header",
        help_text="Empty: detect",
    )
    has_header = forms.ChoiceField(
        required=False,
        label="Header",
        choices=[("", "Detect it"), ("yes", "There is one"), ("no", "There is none")],
    )

    @classmethod
    def of(cls, feed: Feed, **proposed: str) -> Self:
        """The form with what was said before, or is proposed."""
        said = feed.said | proposed
        if said.get("delimiter") == "\t":
            said["delimiter"] = "tab"
        if "has_header" in said:
            said["has_header"] = "yes" if said["has_header"] else "no"
        return cls(initial=said)

    def said(self) -> dict[str, Any]:
        """What was said; what is to be detected is left out."""
        data = self.cleaned_data
        said: dict[str, Any] = {name: data[name] for name in ("encoding", "delimiter") if data[name]}
        if said.get("delimiter") == "tab":
            said["delimiter"] = "\t"
        if data["preamble"] is not None:
            said["preamble"] = data["preamble"]
        if data["has_header"]:
            said["has_header"] = data["has_header"] == "yes"
        return said
