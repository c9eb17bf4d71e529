"""Feeds, their rows, and mappings."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, F, Q
from django.utils import timezone

from deliveries.models import Destination
from deliveries.secret_fields import EncryptedJSONField
from outbox.models import uuid7


class Mapping(models.Model):
    """How a row's columns become method, path and body. A version is never changed."""

    name = models.CharField(max_length=100)
    version = models.IntegerField(default=1)
    document = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="one_mapping_a_version")]

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"


class FeedStatus(models.TextChoices):
    CHECKING = "checking", "the file is being read"
    READY = "ready", "read; nothing is sent before somebody says so"
    REJECTED = "rejected", "the file cannot be read"
    DELIVERING = "delivering", "rows are on their way"
    PAUSED = "paused", "held by a person"
    COMPLETED = "completed", "every row has ended"
    CANCELLED = "cancelled", "stopped by a person"


TRIAL_ROWS = 10  # that a trial sends


class Feed(models.Model):
    """One uploaded file on its way to one destination. Its ledger adds up after every commit."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=255)  # of the file, as the uploader knows it
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="feeds"
    )
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="feeds")
    mapping_name = models.CharField(max_length=120, blank=True)
    mapping = models.JSONField(default=dict)  # the document that this feed is sent with
    status = models.CharField(max_length=10, choices=FeedStatus.choices, default=FeedStatus.CHECKING)
    reason = models.TextField(blank=True)  # of a rejection, in one sentence
    send_at_once = models.BooleanField(default=False)  # released as soon as it is checked
    trial = models.BooleanField(default=False)  # only the first rows go, until a person sends the rest
    lane_id = models.BigIntegerField()

    ticket = models.UUIDField(null=True)  # of the form and the file: a second press uploads nothing
    size = models.BigIntegerField(default=0)  # bytes
    sha256 = models.CharField(max_length=64, blank=True)
    said = models.JSONField(default=dict)  # what a person said of the file: detection does not doubt it
    encoding_note = models.CharField(max_length=300, blank=True)
    dialect = models.JSONField(default=dict)
    columns = models.JSONField(default=list)  # names of those that are sent, in the file's order
    width = models.IntegerField(
        default=0
    )  # cells of a good row in the file, results of earlier sends included
    kept = models.JSONField(default=list)  # places of the columns that are sent among these cells
    # Rows that cannot be sent, by code, counted by the check; null where the check did not look so far.
    invalid_by_code = models.JSONField(null=True)
    missing = models.JSONField(default=list)  # columns that the mapping names and the file lacks
    aliases = models.JSONField(default=dict)  # of columns that the file names otherwise: mapping's to file's
    converted = models.BooleanField(default=False)  # read from the plain copy, not from the upload

    position = models.JSONField(null=True)  # of the next row to import
    created = models.BigIntegerField(default=0)  # deliveries made
    tried = models.BigIntegerField(default=0)  # of these, how many were attempted
    import_done = models.BooleanField(default=False)
    tried_told = models.BooleanField(default=False)
    deleted_up_to = models.BigIntegerField(default=0)  # row number that the retention has reached
    rows_deleted = models.BooleanField(default=False)  # only the counts are left
    cancelled_up_to = models.BigIntegerField(default=0)  # row number that the cancellation has reached

    total = models.BigIntegerField(default=0)
    invalid = models.BigIntegerField(default=0)  # a part of failed
    pending = models.BigIntegerField(default=0)
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    cancelled = models.BigIntegerField(default=0)
    round = models.IntegerField(default=0)  # completions so far

    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-id"], name="feed_by_owner"),
            models.Index(fields=["sha256"], condition=~Q(sha256=""), name="feed_by_content"),
        ]
        constraints = [
            CheckConstraint(
                condition=Q(total=F("pending") + F("succeeded") + F("failed") + F("cancelled")),
                name="ledger_adds_up",
            ),
            CheckConstraint(
                condition=Q(
                    pending__gte=0, succeeded__gte=0, failed__gte=0, cancelled__gte=0, invalid__gte=0
                ),
                name="ledger_not_negative",
            ),
            CheckConstraint(condition=Q(invalid__lte=F("failed")), name="invalid_part_of_failed"),
            CheckConstraint(condition=Q(status__in=FeedStatus.values), name="feed_status_known"),
            models.UniqueConstraint(
                fields=["owner", "ticket"], condition=Q(ticket__isnull=False), name="uploaded_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"

    @property
    def mapping_base(self) -> str:
        """The mapping's name without the version; "" when rows are sent as they are."""
        return self.mapping_name.rpartition(", version ")[0]

    @property
    def folder(self) -> Path:
        return Path(settings.MEDIA_ROOT) / str(self.id)

    @property
    def source_path(self) -> Path:
        """The file as it was uploaded."""
        return self.folder / "source"

    @property
    def plain_path(self) -> Path:
        """The file as it is read: plain UTF-8."""
        return self.folder / "plain.csv" if self.converted else self.source_path

    @property
    def repeats_path(self) -> Path:
        """Which rows repeat an earlier one, where the mapping asks for unique values (feeds.repeats)."""
        return self.folder / "repeats"

    @property
    def is_over(self) -> bool:
        """Nothing more happens by itself."""
        return self.status in (FeedStatus.REJECTED, FeedStatus.COMPLETED) or (
            self.status == FeedStatus.CANCELLED and self.pending == 0
        )

    @property
    def stage(self) -> str:
        """What buttons and sections its page has goes by this: when it changes, the page is another."""
        return f"{self.status}-{self.round}{'-trial' if self.trial else ''}"

    @property
    def imported(self) -> int:
        """Number of the last row that the import has written; of a cancelled feed it stays."""
        return int(self.position["row"]) if self.position else 0

    @property
    def unreached(self) -> int:
        """Rows that may become deliveries, and have not yet."""
        return self.total - self.invalid - self.created

    @property
    def trial_is_full(self) -> bool:
        """A trial's rows are on their way, and others wait for a person's yes."""
        return self.trial and self.created >= TRIAL_ROWS and self.unreached > 0

    def ledger(self) -> dict[str, int]:
        return {
            name: getattr(self, name)
            for name in ("total", "invalid", "pending", "succeeded", "failed", "cancelled")
        }


class RowOutcome(models.TextChoices):
    PENDING = "", "on its way, or waits for its turn"
    SUCCEEDED = "succeeded", "the third party has it"
    FAILED = "failed", "refused by the third party, or invalid"
    CANCELLED = "cancelled", "stopped by a person"


class Row(models.Model):
    """One record of the feed as it was in the file, and what became of it."""

    pk = models.CompositePrimaryKey("feed_id", "number")
    feed_id = models.UUIDField()
    number = models.BigIntegerField()
    line = models.BigIntegerField()
    cells = models.TextField()  # a JSON list of texts; text, for PostgreSQL's jsonb refuses a NUL
    # What a person made of these cells, in the same form. Null in nearly every row: it costs nothing there.
    mended = models.TextField(null=True)  # noqa: DJ001
    invalid = models.BooleanField(default=False)
    tried = models.BooleanField(default=False)
    outcome = models.CharField(max_length=10, choices=RowOutcome.choices, blank=True, default="")
    outcome_seq = models.IntegerField(default=0)
    attempts = models.IntegerField(default=0)
    http_status = models.SmallIntegerField(null=True)
    code = models.CharField(max_length=64, blank=True, default="")
    error = models.TextField(blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["feed_id", "number"], condition=Q(outcome="failed"), name="row_failed"),
        ]

    def __str__(self) -> str:
        return f"row {self.number} of {self.feed_id}"


OTHERS = "others"  # key of the group that holds the rows of all further reasons


class FailureGroup(models.Model):
    """Failed rows of a feed that have status, code and text in common (feeds.grouping)."""

    pk = models.CompositePrimaryKey("feed_id", "key")
    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="failure_groups", db_index=False)
    key = models.CharField(max_length=16)  # feeds.reasons.group_key, or OTHERS
    http_status = models.SmallIntegerField(null=True)
    code = models.CharField(max_length=64, blank=True, default="")
    error = models.TextField(blank=True, default="")  # of one of its rows, the beginning
    alike = models.BooleanField(default=True)  # every row that came into it had this very error
    number = models.BigIntegerField(null=True)  # of a row in it; null: none was found quickly
    count = models.BigIntegerField(default=0)
    invalid = models.BigIntegerField(default=0)  # of these, rows that were never sent

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(invalid__gte=0, invalid__lte=F("count")), name="group_count_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count} failed rows of {self.feed_id}: {self.code}"


class Alias(models.Model):
    """A person's word that a file's column is the one that a mapping names. It holds for later feeds."""

    mapping_name = models.CharField(max_length=100)  # of all its versions
    column = models.CharField(max_length=200)  # as the mapping names it
    found = models.CharField(max_length=200)  # as files name it
    feed = models.ForeignKey(Feed, null=True, on_delete=models.SET_NULL, related_name="+")  # asked there
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mapping_name", "column", "found"], name="alias_said_once"),
        ]

    def __str__(self) -> str:
        return f"{self.found} is {self.column} of {self.mapping_name}"


class Doer(models.TextChoices):
    """Who does a deed, as people read it."""

    PERSON = "", "somebody who was signed in"
    ROWPOST = "Rowpost", "by itself"
    COMMAND_LINE = "the command line", "somebody with a shell on the server"


class Deed(models.Model):
    """What was done: kept for as long as what it was done with, never changed.

    It is shown with each of feed, destination and mapping that it names; without any it was done with
    Rowpost itself.
    """

    feed = models.ForeignKey(Feed, null=True, on_delete=models.CASCADE, related_name="deeds")
    # Found by the index below, newest first: what Rowpost does by itself adds up over the years.
    destination = models.ForeignKey(
        Destination, null=True, on_delete=models.CASCADE, related_name="deeds", db_index=False
    )
    mapping_name = models.CharField(max_length=100, blank=True, default="", db_default="")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by = models.CharField(max_length=20, choices=Doer.choices, blank=True, default="", db_default="")
    what = models.CharField(max_length=20)  # sent, paused, resumed, cancelled, retried
    detail = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(
                fields=["destination", "-id"],
                condition=Q(destination__isnull=False),
                name="deed_of_destination",
            ),
            models.Index(
                fields=["mapping_name", "-id"], condition=~Q(mapping_name=""), name="deed_of_mapping"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.detail}"

    @property
    def who(self) -> str:
        """A person whose account was deleted is somebody."""
        return self.by or (self.user.get_username() if self.user else "somebody")


class SentTest(models.Model):
    """A test send, claimed by its ticket before it goes out, and the exchange that came of it."""

    ticket = models.UUIDField(unique=True)  # of the form and what it says: a second press sends nothing
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    began_at = models.DateTimeField(default=timezone.now)
    # What was entered, and the exchange (deliveries.trial); None while it is under way, and for good if its
    # process died. Encrypted, for a path that is tried may carry a secret.
    asked = EncryptedJSONField()
    exchange = EncryptedJSONField(null=True)

    def __str__(self) -> str:
        return f"test of destination {self.destination_id}"


class ErrandKind(models.TextChoices):
    RETRY = "retry", "failed rows are sent again"
    GIVE_UP = "give up", "what still retries ends as failed"


class Errand(models.Model):
    """What a person asked for that goes through a feed's rows, chunk by chunk; and how far it is."""

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="errands")
    kind = models.CharField(max_length=10, choices=ErrandKind.choices)
    group = models.CharField(max_length=16, blank=True)  # of failures; "" is all
    reached = models.BigIntegerField(default=0)  # row number
    moved = models.BigIntegerField(default=0)  # rows that it sent again, or gave up
    began_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["feed", "kind", "group"],
                condition=Q(ended_at__isnull=True),
                name="one_errand_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.feed_id}"


class Mail(models.Model):
    """A mail about a feed: that it was sent, or why it never can be. Kept for as long as the feed."""

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="mails")
    event_id = models.BigIntegerField()  # of which it tells
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    address = models.CharField(max_length=254, blank=True)
    subject = models.CharField(max_length=300)
    problem = models.CharField(max_length=500, blank=True)  # "": it was sent
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["feed", "event_id"], name="one_mail_an_event"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.feed_id}"
