"""A feed, with its ledger."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, F, Q

from deliveries.models import Destination
from outbox.models import uuid7


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
