"""What people did and asked for, and what they were told."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from deliveries.models import Destination
from deliveries.secret_fields import EncryptedJSONField
from feeds.models.feeds import Feed


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
