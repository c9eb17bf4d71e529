"""Destinations with their tokens, deliveries, payloads and attempts."""

import uuid

from django.db import models
from django.db.models import CheckConstraint, Q

from deliveries.authentication import Auth
from deliveries.secret_fields import EncryptedJSONField
from deliveries.shown_urls import shown_url


def said_true() -> bool:
    """What stands at the success path of a third party that says nothing else."""
    return True


class Destination(models.Model):
    """A third party: where and how requests are sent, its limits, its secrets, its health."""

    name = models.SlugField(max_length=100, unique=True)
    url = models.CharField(max_length=2000)
    method = models.CharField(max_length=10, default="POST")
    headers = EncryptedJSONField(default=dict, blank=True)  # name → value
    auth = models.CharField(max_length=10, choices=Auth.choices, default=Auth.NONE)
    # {field: text} as deliveries.authentication says; None costs no decryption where there is nothing.
    credentials = EncryptedJSONField(null=True, blank=True)
    signing_secret = EncryptedJSONField(default=str, blank=True)  # "" sends no signature
    # Whose members send to it and see its feeds; without one everybody who is signed in may send to it.
    group = models.ForeignKey("auth.Group", null=True, blank=True, on_delete=models.PROTECT)
    lane_id = models.BigIntegerField(editable=False)  # carries hold, rate and slots; parent of its groups'

    rate = models.FloatField(null=True, blank=True)  # requests a second
    concurrency = models.IntegerField(null=True, blank=True)  # requests at once
    timeout = models.FloatField(default=10.0)  # seconds for one request in all
    max_attempts = models.SmallIntegerField(default=10)
    retry_first = models.FloatField(default=60.0)  # seconds after the first failure
    retry_factor = models.FloatField(default=3.0)
    retry_cap = models.FloatField(default=86400.0)
    success_path = models.CharField(max_length=200, blank=True)  # place in the JSON answer
    success_value = models.JSONField(default=said_true, blank=True)
    statuses = models.JSONField(default=dict, blank=True)  # {"404": "succeeded"}

    failures = models.IntegerField(default=0)  # in a row
    failing = models.JSONField(default=list)  # ids of the deliveries that they belong to, at most 3
    breaker_opened = models.SmallIntegerField(default=0)  # times in a row without a success; 0 = closed
    refusals = models.JSONField(default=list)  # ids of deliveries refused in a row, at most 3
    last_success_at = models.DateTimeField(null=True)  # kept only while something is refused
    last_errors = models.JSONField(default=list)  # the newest of each kind (deliveries.last_errors)
    paused_for = models.CharField(max_length=300, blank=True)
    paused_at = models.DateTimeField(null=True, editable=False)
    edition = models.IntegerField(default=1, editable=False)  # raised with each change by a person
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(rate__isnull=True) | Q(rate__gt=0),
                name="rate_positive",
                violation_error_message="The rate is a number of requests a second, above 0.",
            ),
            CheckConstraint(
                condition=Q(concurrency__isnull=True) | Q(concurrency__gt=0),
                name="concurrency_positive",
                violation_error_message="The concurrency is a number of requests at once, from 1.",
            ),
            CheckConstraint(
                condition=Q(timeout__gt=0) & Q(timeout__lte=300),
                name="timeout_sensible",
                violation_error_message="The timeout is a number of seconds, above 0 and at most 300.",
            ),
            CheckConstraint(
                condition=Q(max_attempts__gt=0),
                name="attempts_positive",
                violation_error_message="There is at least one attempt.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_url(self) -> str:
        return shown_url(self.url)


class AccessToken(models.Model):
    """The OAuth2 token that all workers of a destination share. Every write is fenced with its version."""

    destination = models.OneToOneField(Destination, primary_key=True, on_delete=models.CASCADE)
    version = models.IntegerField(default=0)  # raised with each token, and when the credentials change
    value = EncryptedJSONField(null=True)
    fetched_at = models.DateTimeField(null=True)
    renew_at = models.DateTimeField(null=True)  # some time before it expires
    expires_at = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)  # somebody fetches the next one
    failure = models.CharField(max_length=500, blank=True)  # of the last fetch, a sentence
    failed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"token of destination {self.destination_id}"


class Status(models.TextChoices):
    CREATED = "created", "not scheduled yet"
    SCHEDULED = "scheduled", "an attempt is due, under way, or waits to be tried again"
    AWAITING_REPLY = "awaiting", "accepted; the third party will tell the outcome"
    SUCCEEDED = "succeeded", "the third party has it"
    FAILED = "failed", "given up, by the third party's fault"
    CANCELLED = "cancelled", "stopped by a person"


OPEN = (Status.CREATED, Status.SCHEDULED, Status.AWAITING_REPLY)


class Delivery(models.Model):
    """One payload to be sent to one destination. Its id is computed (deliveries.ids) and sorts by group
    and number, so that no index beside the primary key is needed, and none makes an update dearer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group_id = models.UUIDField()  # the caller's id for what belongs together
    number = models.BigIntegerField()  # the caller's number within the group
    destination = models.ForeignKey(
        Destination, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    lane_id = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CREATED)
    seq = models.IntegerField(default=0)  # rises with each change between open, succeeded, failed, cancelled
    attempt = models.IntegerField(default=0)  # number of the last scheduled attempt
    fail_count = models.SmallIntegerField(default=0)  # attempts that count against the schedule
    revision = models.SmallIntegerField(default=1)  # of the payload; a person's edit raises it
    maybe_arrived = models.BooleanField(default=False)  # an earlier send of this key may have arrived

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            CheckConstraint(condition=Q(status__in=Status.values), name="delivery_status_known"),
            CheckConstraint(condition=Q(seq__gte=0, attempt__gte=0, fail_count__gte=0), name="counts_sane"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.id}"


class Payload(models.Model):
    """What is sent, as it was rendered. A revision is never changed."""

    pk = models.CompositePrimaryKey("delivery_id", "revision")
    delivery_id = models.UUIDField()
    revision = models.SmallIntegerField(default=1)
    method = models.CharField(max_length=10)
    path = models.TextField(blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    body = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"payload of {self.delivery_id}, revision {self.revision}"


class AttemptOutcome(models.TextChoices):
    SUCCEEDED = "succeeded", "the third party took it"
    FAILED = "failed", "the third party did not take it, or could not be reached"
    UNKNOWN = "unknown", "sent, but no answer came: it may have arrived"


class Attempt(models.Model):
    """One HTTP exchange of a delivery: a projection of its events, merged in any order."""

    pk = models.CompositePrimaryKey("delivery_id", "number")
    delivery_id = models.UUIDField()
    number = models.IntegerField()
    scheduled_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=AttemptOutcome.choices, blank=True, default="")
    counted = models.BooleanField(null=True)  # against the delivery's schedule
    sends = models.SmallIntegerField(null=True)  # 2: an earlier send of this attempt may have arrived too
    http_status = models.SmallIntegerField(null=True)
    code = models.CharField(max_length=64, blank=True, default="")
    message = models.TextField(blank=True, default="")
    seconds = models.FloatField(null=True)
    revision = models.SmallIntegerField(null=True)
    response_headers = models.JSONField(null=True)
    response_body = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}"


class Tally(models.Model):
    """How many attempts at a destination ended in a minute. A minute has several rows of it: batches do not
    wait for each other."""

    pk = models.CompositePrimaryKey("minute", "destination_id", "share")
    minute = models.DateTimeField()
    destination_id = models.BigIntegerField(default=0)  # 0: of an event that does not tell it
    share = models.SmallIntegerField()
    succeeded = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.minute:%H:%M}: {self.succeeded} succeeded, {self.failed} failed"
