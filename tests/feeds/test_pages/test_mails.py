"""What a feed's page tells of the mails about it, and to whom."""

import smtplib

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from feeds import mails
from feeds.events import FeedRejected
from outbox.outcomes import NextStep

pytestmark = pytest.mark.django_db

SAID = b"5.1.1 <olga@example.com>: Recipient address rejected"


def test_what_a_mail_server_says_of_an_address_is_for_its_owner_and_admins(
    as_, owner, other, admin, destination, delivering, monkeypatch
):
    destination.group = Group.objects.create(name="Shop team")
    destination.save()
    other.groups.add(destination.group)

    def refuse(subject, text, sender, recipients):
        raise smtplib.SMTPRecipientsRefused(dict.fromkeys(recipients, (550, SAID)))

    monkeypatch.setattr(mails, "send_mail", refuse)
    settle = mails.tell_owner(FeedRejected(correlation_id=delivering.id, reason="It is empty.", id=7))
    assert callable(settle)
    assert settle() == NextStep()
    for viewer, sees in ((owner, True), (admin, True), (other, False)):
        page = as_(viewer).get(reverse("feeds:feed", args=[delivering.id])).text
        assert "The mail server refuses this address" in page
        assert ("olga@example.com" in page) is sees
