"""The outbox's tables. `docs/architecture.md` explains them; who may write which is said at each."""

import os
import time
import uuid
from typing import Self

from django.db import models
from django.db.models import Q

_RANDOM = (0xFFF << 64) | ((1 << 62) - 1)  # the bits that neither the time nor version and variant take


def uuid7() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562, version 7): an index over it grows at one end."""
    return uuid7s(1)[0]


def uuid7s(count: int) -> list[uuid.UUID]:
    """As many of them of one moment: the system is asked for randomness once."""
    base = (int(time.time() * 1000) << 80) | (7 << 76) | (2 << 62)
    noise = os.urandom(10 * count)
    return [
        uuid.UUID(int=base | int.from_bytes(noise[at : at + 10], "big") & _RANDOM)
        for at in range(0, 10 * count, 10)
    ]


class OutboxEvent(models.Model):
    """A fact, written in the transaction of the change that it tells of. Never updated."""

    uuid = models.UUIDField(default=uuid7, editable=False)
    type = models.CharField(max_length=64)
    version = models.SmallIntegerField(default=1)
    correlation_id = models.UUIDField()
    occurrence = models.IntegerField(default=0)
    causation_id = models.BigIntegerField(null=True)
    conversation_id = models.UUIDField(null=True)
    lane_id = models.BigIntegerField(null=True)
    payload = models.JSONField()
    due_at = models.DateTimeField(null=True)
    occurred_at = models.DateTimeField()

    class Meta:
        indexes = [
            # Serves both the story of one aggregate and the pruning of a whole conversation.
            models.Index(fields=["conversation_id", "correlation_id"], name="event_story"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class Unrelayed(models.Model):
    """An event that is not yet fanned out; deleted with the insert of its handlings."""

    event_id = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return f"event {self.event_id}"


class Kind(models.TextChoices):
    TRANSACTIONAL = "transactional", "changes, events and completion commit together: exactly once"
    EFFECT = "effect", "talks to the outside, never in a transaction: at least once"
    PROJECTION = "projection", "an idempotent merge that publishes nothing: can be replayed"


class Subscription(models.Model):
    """The standing record that one handler receives one event type."""

    event_type = models.CharField(max_length=64)
    handler = models.CharField(max_length=100)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    queue = models.CharField(max_length=100)
    active = models.BooleanField(default=True)
    in_lane = models.BooleanField(default=False)  # works in the event's lane instead of one of its own
    when_due = models.BooleanField(default=False)  # not before the event's due_at
    since_event = models.BigIntegerField(default=0)  # events up to this id were before its time
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event_type", "handler"], name="one_subscription_each")
        ]

    def __str__(self) -> str:
        return f"{self.handler} on {self.event_type}"


class Lane(models.Model):
    """What is taken in turn, held, slowed and limited together.

    Only the relay writes `ready`, `turn` and `tat`, under its lock; the rest is the owner's to set.
    """

    handler = models.CharField(max_length=100)
    key = models.CharField(max_length=200, blank=True)  # "" is the handler's own lane
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    ready = models.IntegerField(default=0)
    turn = models.BigIntegerField(default=0)
    paused = models.BooleanField(default=False)  # until somebody opens it
    held_until = models.DateTimeField(null=True, blank=True)
    held_for = models.CharField(max_length=300, blank=True)  # why it is paused or held, in words
    probing = models.BooleanField(default=False)  # one handling at a time until one succeeds
    draining = models.BooleanField(default=False)  # nothing in it is wanted any more; no limit applies
    max_slots = models.IntegerField(null=True, blank=True)  # at most so many at once
    interval = models.FloatField(null=True, blank=True)  # seconds between two starts
    tat = models.DateTimeField(null=True, blank=True)  # theoretical arrival time of the next start (GCRA)
    act_limit = models.FloatField(default=10.0)  # seconds that one act of an effect may take

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["handler", "key"], name="one_lane_each"),
            models.CheckConstraint(condition=Q(ready__gte=0), name="ready_not_negative"),
        ]
        indexes = [models.Index(fields=["turn"], condition=Q(ready__gt=0), name="lane_turns")]

    def __str__(self) -> str:
        return f"{self.handler} {self.key}".strip()


class Error(models.Model):
    """A place where handlings of one handler fail in the same way: what parked work is grouped by."""

    handler = models.CharField(max_length=100)
    exception = models.CharField(max_length=100)
    place = models.CharField(max_length=200)
    sample = models.TextField(blank=True)
    last_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["handler", "exception", "place"], name="one_error_each")
        ]

    def __str__(self) -> str:
        return f"{self.exception} in {self.place}"


class State(models.TextChoices):
    READY = "ready", "to be handed over in its lane's turn"
    LEASED = "leased", "in the batch of one worker"
    WAITING = "waiting", "due in the future"
    DONE = "done", "handled; never runs again"
    PARKED = "parked", "gave up by our fault; kept for a person"


class HandlingQuerySet(models.QuerySet["Handling"]):
    """The states that are looked for, each in the words of its index."""

    def ready(self) -> Self:
        return self.filter(state=State.READY, pos__isnull=False)

    def waiting(self) -> Self:
        return self.filter(state=State.WAITING, due_at__isnull=False)

    def parked(self) -> Self:
        return self.filter(state=State.PARKED, error__isnull=False)


class Handling(models.Model):
    """One subscription's work on one event.

    Only the relay makes a handling ready or leased; workers leave theirs done, waiting or parked.

    No index mentions `state`: what most handlings do, from leased to done, changes no indexed column, so
    PostgreSQL writes it in place (a HOT update) and touches no index.
    """

    event = models.ForeignKey(OutboxEvent, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    subscription = models.ForeignKey(
        Subscription, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    state = models.CharField(max_length=8, choices=State.choices)
    pos = models.BigIntegerField(null=True)  # while ready: order within the lane
    due_at = models.DateTimeField(null=True)  # while waiting
    lease_id = models.BigIntegerField(null=True)
    tries = models.SmallIntegerField(default=0)  # failures that its handler reported
    deaths = models.SmallIntegerField(default=0)  # run leases that expired with it unsettled
    deaths_alone = models.SmallIntegerField(default=0)
    generation = models.SmallIntegerField(default=0)  # rises with each retry by a person
    error = models.ForeignKey(
        Error, null=True, on_delete=models.SET_NULL, db_constraint=False, db_index=False
    )
    message = models.TextField(blank=True, default="")
    finished_at = models.DateTimeField(null=True)

    objects = HandlingQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "subscription"], name="one_handling_each")]
        indexes = [
            models.Index(fields=["lane", "pos"], condition=Q(pos__isnull=False), name="handling_ready"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="handling_waiting"),
            models.Index(
                fields=["subscription", "error"], condition=Q(error__isnull=False), name="handling_parked"
            ),
        ]

    def __str__(self) -> str:
        return f"handling {self.id} ({self.state})"


class Lease(models.Model):
    """The time-limited right of one worker to run a batch of handlings of one lane."""

    class State(models.TextChoices):
        HANDED_OVER = "handed_over", "on its way through the broker"
        RUNNING = "running", "claimed by a worker"

    token = models.UUIDField()
    handler = models.CharField(max_length=100)
    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    parent_id = models.BigIntegerField(null=True)  # the lane's parent, whose slots it takes too
    state = models.CharField(max_length=12, choices=State.choices, default=State.HANDED_OVER)
    owner = models.CharField(max_length=200, blank=True, default="")
    ids = models.JSONField()
    slots = models.IntegerField(default=1)
    alone = models.BooleanField(default=False)  # one suspect, with no other suspect running
    paced_from = models.DateTimeField(null=True)  # when its first start may be
    pace = models.FloatField(null=True)  # seconds between its starts
    until = models.DateTimeField()
    hard_until = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["until"], name="lease_until")]

    def __str__(self) -> str:
        return f"lease {self.id} of {self.handler}"


class Heartbeat(models.Model):
    """A process that says that it lives, each few seconds."""

    name = models.CharField(max_length=200, primary_key=True)
    kind = models.CharField(max_length=16)  # worker, relay or beat
    queues = models.JSONField(default=list)
    concurrency = models.IntegerField(default=1)  # batches that it runs at once
    processes = models.IntegerField(default=1)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
