"""Rows of feeds, and what the failed ones have in common."""

from django.db import models
from django.db.models import CheckConstraint, F, Q

from feeds.models.feeds import Feed


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
