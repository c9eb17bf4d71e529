"""A row's story: what caused what, what is done beside it, what waits until when and why."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries.answers import Kind
from deliveries.events import (
    DeliveryAttemptFailed,
    DeliveryCreated,
    DeliveryFailed,
    DeliveryReopened,
    DeliveryScheduled,
    DeliverySucceeded,
)
from deliveries.ids import delivery_id
from feeds.models import Feed, FeedStatus
from feeds.queries import timeline as timelines
from feeds.queries.timeline import EXECUTE, RETRY, SCHEDULE, Timeline, timeline
from outbox.models import Handling, OutboxEvent, State, Subscription
from outbox.publishing import publish

pytestmark = pytest.mark.django_db(transaction=True)

KEEP, COUNT = "deliveries.register_attempt", "feeds.track_progress"


class Story:
    """Tells a delivery's events, and what became of their handlings."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.id = delivery_id(feed.id, 1)

    def tell(self, fact, cause: int | None = None, works=(), **told) -> int:
        event = fact(correlation_id=self.id, conversation_id=self.feed.id, causation_id=cause, **told)
        with transaction.atomic():
            [event_id] = publish(event)
        for handler, state, *more in works:
            subscription, _ = Subscription.objects.get_or_create(event_type=fact.__name__, handler=handler)
            Handling.objects.create(
                event_id=event_id, subscription=subscription, lane_id=self.feed.lane_id, state=state,
                **(more[0] if more else {}),
            )  # fmt: skip
        return event_id

    def until_failure(self, **failure) -> int:
        """Taken up, planned, failed once."""
        created = self.tell(DeliveryCreated, 10**9, [(SCHEDULE, State.DONE)])
        works = [(EXECUTE, State.DONE), (KEEP, State.DONE)]
        planned = self.tell(DeliveryScheduled, created, works, occurrence=1)
        told = {"kind": Kind.AGAIN, "number": 1, "message": "It answered 503.", "http_status": 503} | failure
        works = [(RETRY, State.DONE), (KEEP, State.DONE), (COUNT, State.READY)]
        return self.tell(DeliveryAttemptFailed, planned, works, occurrence=1, **told)

    def plan_again(self, cause: int, state: str, *, due_in: float, **more) -> None:
        due_at = timezone.now() + timedelta(seconds=due_in)
        works = [(EXECUTE, state, {"due_at": due_at if state == State.WAITING else None} | more)]
        self.tell(DeliveryScheduled, cause, works, occurrence=2, due_at=due_at)

    def read(self) -> Timeline:
        return timeline(self.feed, self.id)


@pytest.fixture
def story(send) -> Story:
    feed = send("sku,price\nA1,9.50\n")
    OutboxEvent.objects.all().delete()
    return Story(feed)


def test_each_step_says_what_brought_it_about(story):
    failed = story.until_failure()
    story.plan_again(failed, State.DONE, due_in=60)
    steps = story.read().steps
    assert [(step.because, step.title) for step in steps] == [
        ("Rowpost read it from the file", "The row was taken up"),
        ("Rowpost planned it", "Attempt 1 was planned"),
        ("Rowpost sent the request", "Attempt 1 failed"),
        ("Rowpost decided to try again", "Attempt 2 was planned"),
    ]
    assert (steps[2].status, steps[2].detail) == (503, "It answered 503.")
    assert [step.follows for step in steps] == [False, True, True, True]


def test_what_leads_on_is_the_story_and_the_rest_stands_beside_it(story):
    failed = story.until_failure()
    story.plan_again(failed, State.DONE, due_in=60)
    beside = [[work.handler for work in step.beside] for step in story.read().steps]
    assert beside == [[], [KEEP], [KEEP, COUNT], [EXECUTE]], "nothing came of the last one yet"


def test_what_the_step_before_has_said_is_not_said_again(story):
    failed = story.until_failure()
    story.tell(DeliveryFailed, failed, number=1, seq=1, message="It answered 503.")
    story.tell(DeliveryFailed, failed, number=1, seq=1, message="That was the last attempt.")
    assert [step.detail for step in story.read().steps[2:]] == [
        "It answered 503.",
        "",
        "That was the last attempt.",
    ]


def test_a_row_that_a_person_mended_was_not_read_from_the_file(story):
    story.tell(DeliveryCreated)
    assert story.read().steps[0].because == "A person mended it"


@pytest.mark.parametrize(("seconds", "waited"), [(0.5, None), (90.0, 90.0)])
def test_only_a_wait_worth_telling_is_told(story, seconds, waited):
    created = story.tell(DeliveryCreated, 10**9)
    planned = story.tell(DeliveryScheduled, created, occurrence=1)
    moment = timezone.now()
    for event_id, at in ((created, moment), (planned, moment + timedelta(seconds=seconds))):
        OutboxEvent.objects.filter(id=event_id).update(occurred_at=at, due_at=at)
    step = story.read().steps[1]
    assert step.waited == waited
    assert step.planned_wait is None, "it was due at once"


def test_what_became_of_another_row_is_no_part_of_it(story):
    story.until_failure()
    other = Story(story.feed)
    other.id = delivery_id(story.feed.id, 2)
    other.until_failure()
    assert len(story.read().steps) == 3


def test_of_a_very_long_story_the_end_is_shown_and_what_was_before_on_a_page_of_its_own(story, monkeypatch):
    story.until_failure()
    monkeypatch.setattr(timelines, "STEPS_A_PAGE", 3)
    assert not story.read().page.next
    monkeypatch.setattr(timelines, "STEPS_A_PAGE", 2)
    found = story.read()
    assert [step.title for step in found.steps] == ["Attempt 1 was planned", "Attempt 1 failed"]
    assert [step.because for step in found.steps] == ["Rowpost planned it", "Rowpost sent the request"]
    assert [step.shows_cause for step in found.steps] == [False, True]
    before = timeline(story.feed, story.id, found.page.next)
    assert [step.title for step in before.steps] == ["The row was taken up"]
    assert before.steps[0].beside == [], "what it led to is told on the next page"


def test_a_step_whose_cause_is_further_up_names_it(story):
    failed = story.until_failure()
    story.tell(DeliveryReopened, None, occurrence=1, number=1, seq=1)
    story.plan_again(failed, State.DONE, due_in=1)
    reopened, planned = story.read().steps[3:]
    assert (reopened.cause, reopened.because) == (None, "A person had it sent again")
    assert not planned.follows
    assert planned.cause_title == "Attempt 1 failed"


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        ({}, "each failure is followed by a longer wait"),
        ({"wait": 30.0}, "the third party named this time"),
        ({"kind": Kind.THROTTLED, "counted": False, "wait": 30.0}, "the third party asked for a pause"),
        ({"kind": Kind.REFUSED, "counted": False}, "it does not let us in"),
        ({"counted": False}, "the destination is in trouble"),
    ],
)
def test_a_wait_says_how_long_and_why(story, failure, why):
    story.plan_again(story.until_failure(**failure), State.WAITING, due_in=60)
    found = story.read()
    last = found.steps[-1]
    assert last.planned_wait == pytest.approx(60, abs=5)
    assert why in last.why_wait
    [coming] = found.next
    assert coming.sentence == "Rowpost sends the request, not before"
    assert coming.until == last.works[0].until
    assert last.beside == [], "what is still to come does not stand beside it as well"


def test_what_did_not_work_a_moment_ago_says_why_it_waits(story):
    story.plan_again(story.until_failure(), State.WAITING, due_in=60, message="OSError: no space left")
    [coming] = story.read().next
    assert coming.why == ["It did not work a moment ago: OSError: no space left"]


def test_what_has_come_due_waits_for_its_turn_alone(story):
    story.plan_again(story.until_failure(), State.WAITING, due_in=-5)
    [coming] = story.read().next
    assert coming.sentence == "Rowpost sends the request as soon as its turn comes."


def test_what_is_under_way_is_said_to_happen_now(story):
    story.plan_again(story.until_failure(), State.LEASED, due_in=-5)
    [coming] = story.read().next
    assert coming.sentence == "Rowpost sends the request: right now."


def test_what_is_ready_waits_for_its_turn_or_for_the_feed(story):
    story.plan_again(story.until_failure(), State.READY, due_in=-5)
    [coming] = story.read().next
    assert coming.sentence == "Rowpost sends the request as soon as its turn comes."
    assert "No worker is running" in coming.why[0]
    story.feed.status = FeedStatus.PAUSED
    [coming] = story.read().next
    assert coming.sentence == "Rowpost sends the request once the feed is resumed."


def test_what_stopped_by_our_fault_is_said_and_who_can_help(story):
    parked = (COUNT, State.PARKED, {"message": "KeyError: 'x'"})
    story.tell(DeliverySucceeded, None, [parked], number=1, seq=1)
    [coming] = story.read().next
    assert coming.parked
    assert "kept for an admin" in coming.sentence
    assert coming.why == ["KeyError: 'x'"]


def test_what_a_person_gave_up_is_not_taken_for_our_decision(story):
    told = {"number": 1, "seq": 1, "code": "given_up", "message": "olga gave it up."}
    story.tell(DeliveryFailed, story.until_failure(), **told)
    assert story.read().steps[-1].because == "A person gave it up"


def test_a_story_that_was_cleared_away_is_empty(story):
    assert story.read() == Timeline([], [])
