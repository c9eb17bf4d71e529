"""Sending a batch of deliveries to one destination, and recording what came of each."""

import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.db import connection

from deliveries import commands
from deliveries.answers import Kind, Rule, Verdict, judge
from deliveries.authentication import Auth, fixed_headers
from deliveries.blanking import blanks, secrets_of
from deliveries.client import Answer, Client, Limits, Request
from deliveries.events import DeliveryAttemptFailed, DeliveryScheduled, DeliverySucceeded
from deliveries.health import BREAKER_FAILURES, REFUSALS, Findings, Health, fold
from deliveries.ids import request_key
from deliveries.last_errors import LastError, remembered
from deliveries.models import Delivery, Destination
from deliveries.signing import signing_headers
from deliveries.token_sending import TokenSending
from outbox import lanes, sql
from outbox.effects import EffectBatch
from outbox.publishing import caused_by, publish

SLOTS = 32  # threads that one batch may use
_CLIENTS = 100  # destinations whose connections a process keeps


class Consignment(NamedTuple):
    """A delivery as it is to be sent now."""

    status: str
    attempt: int
    number: int
    revision: int
    maybe_arrived: bool
    method: str
    path: str
    content_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Sent:
    answer: Answer
    verdict: Verdict


class Sending(EffectBatch[DeliveryScheduled, Sent]):
    """The effect behind `execute_delivery`."""

    def load(self, events: Sequence[DeliveryScheduled]) -> None:
        self._failures_in_row = 0
        self._refused: set[uuid.UUID] = set()
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT d.id, d.destination_id, d.status, d.attempt, d.number, d.revision,
                           d.maybe_arrived, p.method, p.path, p.content_type, p.body
                    FROM deliveries_delivery d
                    JOIN deliveries_payload p ON p.delivery_id = d.id AND p.revision = d.revision
                    WHERE {sql.any_of("d.id")}""",
                [sql.listed(event.correlation_id for event in events)],
            )
            rows = cursor.fetchall()
        self.consignments = {sql.as_uuid(row[0]): Consignment(*row[2:]) for row in rows}
        if rows:
            self._use(Destination.objects.get(id=rows[0][1]))

    def _use(self, destination: Destination) -> None:
        self.destination = destination
        client = _client(destination)
        self.send = client.send
        if destination.auth == Auth.OAUTH2:
            self.send = TokenSending(destination.id, client).send
        self.headers = destination.headers | fixed_headers(destination.auth, destination.credentials)
        self.blanks = blanks(secrets_of(destination))
        self.rule = rule_of(destination)
        self._probing = destination.breaker_opened > 0

    def is_wanted(self, event: DeliveryScheduled) -> bool:
        found = self.consignments.get(event.correlation_id)
        return found is not None and found.status == "scheduled" and found.attempt == event.occurrence

    def act(self, event: DeliveryScheduled) -> Sent:
        parcel = self.consignments[event.correlation_id]
        answer = self.blanks.answer(self.send(self._request(event, parcel)))
        verdict = judge(answer, self.rule)
        if verdict.kind is Kind.CONFLICT:
            arrived = parcel.maybe_arrived or event.id in self.reruns
            verdict = replace(verdict, kind=Kind.AGAIN if arrived else Kind.FAILED)
        self._halt_on(event.correlation_id, verdict)
        return Sent(answer, verdict)

    def _request(self, event: DeliveryScheduled, parcel: Consignment) -> Request:
        destination = self.destination
        body = parcel.body.encode()
        key = request_key(event.correlation_id, parcel.revision)
        headers = dict(self.headers)
        if parcel.content_type:
            headers["Content-Type"] = parcel.content_type
        headers["Idempotency-Key"] = key
        headers["Rowpost-Feed"] = str(event.conversation_id)
        headers["Rowpost-Row"] = str(parcel.number)
        headers["Rowpost-Attempt"] = str(event.occurrence)
        if destination.signing_secret:
            headers.update(signing_headers(destination.signing_secret, message_id=key, body=body))
        return Request(parcel.method, target_url(destination.url, parcel.path), headers, body)

    def _halt_on(self, delivery_id: uuid.UUID, verdict: Verdict) -> None:
        """Starts no more of the batch once the destination is about to be held; counted for good later."""
        self._failures_in_row = self._failures_in_row + 1 if verdict.kind is Kind.AGAIN else 0
        if verdict.kind is Kind.REFUSED:
            self._refused.add(delivery_id)
        if (
            verdict.kind is Kind.THROTTLED
            or self._failures_in_row >= BREAKER_FAILURES
            or (self._probing and self._failures_in_row)
            or len(self._refused) >= REFUSALS
        ):
            self.halted = True

    def record(self, acts: Sequence[tuple[DeliveryScheduled, Sent]]) -> None:
        self._record_successes([act for act in acts if act[1].verdict.kind is Kind.SUCCEEDED])
        findings = self._examine(acts)
        self._record_failures([act for act in acts if act[1].verdict.kind is not Kind.SUCCEEDED], findings)

    def reduced(self, result: Sent) -> Sent:
        answer = Answer(
            status=result.answer.status,
            seconds=result.answer.seconds,
            outcome_unknown=result.answer.outcome_unknown,
        )
        return Sent(answer, replace(result.verdict, message="The answer could not be stored."))

    def _record_successes(self, acts: Sequence[tuple[DeliveryScheduled, Sent]]) -> None:
        """A success that was under way wins over a cancellation, and over a person who gave up.

        Failed at the attempt that succeeds: only a person does that. By itself a delivery fails after
        this attempt has failed, and an attempt has one outcome.
        """
        if not acts:
            return
        acts = sorted(acts, key=lambda act: act[0].correlation_id)
        rows = [(event.correlation_id, event.occurrence) for event, _ in acts]
        table, params = sql.values_table("v", {"id": "uuid", "attempt": "integer"}, rows)
        with connection.cursor() as cursor:
            cursor.execute(
                f"""UPDATE deliveries_delivery SET status = 'succeeded', seq = seq + 1
                    FROM {table}
                    WHERE deliveries_delivery.id = v.id AND {sql.any_of("deliveries_delivery.id")}
                      AND deliveries_delivery.attempt = v.attempt
                      AND status IN ('scheduled', 'cancelled', 'failed')
                    RETURNING deliveries_delivery.id, seq""",
                [*params, sql.listed(row[0] for row in rows)],
            )
            seqs = {sql.as_uuid(row[0]): row[1] for row in cursor.fetchall()}
        publish(
            *(
                DeliverySucceeded(
                    correlation_id=event.correlation_id,
                    conversation_id=event.conversation_id,
                    occurrence=event.occurrence,
                    causation_id=event.id,
                    seq=seqs[event.correlation_id],
                    **self._exchange(event, sent),
                )
                for event, sent in acts
                if event.correlation_id in seqs
            )
        )

    def _record_failures(
        self, acts: Sequence[tuple[DeliveryScheduled, Sent]], findings: Findings | None
    ) -> None:
        if not acts:
            return
        uncounted = findings.uncounted if findings else set()
        doubtful = [event.correlation_id for event, sent in acts if sent.answer.outcome_unknown]
        if doubtful:
            Delivery.objects.filter(id__in=doubtful).update(maybe_arrived=True)
        publish(
            *(
                DeliveryAttemptFailed(
                    correlation_id=event.correlation_id,
                    conversation_id=event.conversation_id,
                    occurrence=event.occurrence,
                    causation_id=event.id,
                    kind=sent.verdict.kind,
                    counted=event.correlation_id not in uncounted,
                    outcome_unknown=sent.answer.outcome_unknown,
                    wait=sent.verdict.hold or sent.verdict.retry_after,
                    **self._exchange(event, sent),
                )
                for event, sent in acts
            )
        )

    def _exchange(self, event: DeliveryScheduled, sent: Sent) -> dict[str, Any]:
        parcel = self.consignments[event.correlation_id]
        answer = sent.answer
        return {
            "number": parcel.number,
            "destination_id": self.destination.id,
            "revision": parcel.revision,
            "sends": 2 if event.id in self.reruns else 1,
            "http_status": answer.status,
            "code": sent.verdict.code,
            "message": sent.verdict.message,
            "seconds": round(answer.seconds, 4),
            "response_headers": dict(answer.headers),
            "response_body": answer.body,
        }

    def _examine(self, acts: Sequence[tuple[DeliveryScheduled, Sent]]) -> Findings | None:
        """Breaker, refusals, throttling. A healthy destination that goes on succeeding costs one read."""
        # Not the whole of it: its secrets would be decrypted for each flush.
        columns = Destination.objects.values_list("failures", "failing", "breaker_opened", "refusals")
        failures, failing, breaker_opened, refusals = columns.get(id=self.destination.id)
        health = Health(failures, tuple(failing), breaker_opened, tuple(refusals))
        if not health.is_troubled and all(sent.verdict.kind is Kind.SUCCEEDED for _, sent in acts):
            return None
        destination = Destination.objects.select_for_update(no_key=True).get(id=self.destination.id)
        before = _health(destination)
        findings = fold(before, [(event.correlation_id, sent.verdict) for event, sent in acts])
        destination.last_errors = remembered(destination.last_errors, self._errors(acts))
        with caused_by(acts[-1][0].id):
            _keep(destination, before, findings)
        return findings

    def _errors(self, acts: Sequence[tuple[DeliveryScheduled, Sent]]) -> Iterator[LastError]:
        now = sql.database_now()
        for event, sent in acts:
            if sent.verdict.kind not in (Kind.SUCCEEDED, Kind.ACCEPTED):
                yield LastError(
                    code=sent.verdict.code,
                    message=sent.verdict.message,
                    at=now,
                    group_id=event.conversation_id,
                    number=self.consignments[event.correlation_id].number,
                )


def _health(destination: Destination) -> Health:
    return Health(
        failures=destination.failures,
        failing=tuple(destination.failing),
        breaker_opened=destination.breaker_opened,
        refusals=tuple(destination.refusals),
    )


_KEPT_OF_HEALTH = ("failures", "failing", "breaker_opened", "refusals", "last_success_at", "last_errors")


def _keep(destination: Destination, before: Health, findings: Findings) -> None:
    """Stores the health and holds, probes, opens or pauses the lane as the findings say."""
    now = sql.database_now()
    health = findings.health
    destination.failures = health.failures
    destination.failing = list(health.failing)
    destination.breaker_opened = health.breaker_opened
    destination.refusals = list(health.refusals)
    if findings.succeeded and before.refusals:
        destination.last_success_at = now
    destination.save(update_fields=_KEPT_OF_HEALTH)
    until = now + timedelta(seconds=findings.hold)
    if findings.closed and not findings.opened:
        lanes.end_probe(destination.lane_id)
    commands.tell_breaker(destination, was_open=before.breaker_opened > 0, reason=findings.hold_reason)
    if findings.opened:
        lanes.probe(destination.lane_id, until=until, why=findings.hold_reason[:300])
    elif findings.hold:
        lanes.hold(destination.lane_id, until=until, why=findings.hold_reason[:300])
    if findings.pause_reason:
        commands.pause_destination(destination.id, reason=findings.pause_reason, by_person=False)


def rule_of(destination: Destination) -> Rule:
    """What the destination says about its answers."""
    statuses: dict[str, str] = destination.statuses
    return Rule(
        success_path=destination.success_path,
        # As an answer is read: a number that is too long for an integer is a float there.
        success_value=orjson.loads(json.dumps(destination.success_value)),
        statuses={int(status): meaning for status, meaning in statuses.items()},
    )


def target_url(base: str, path: str) -> str:
    """The destination's URL with the row's path appended; the host never comes from a row."""
    if not path:
        return base
    stem, _, query = base.partition("?")
    if path.startswith("?"):
        return f"{base}&{path[1:]}" if query else base + path
    joined = stem.rstrip("/") + "/" + path.lstrip("/")
    if query:
        joined += ("&" if "?" in joined else "?") + query
    return joined


_lock = threading.Lock()
_clients: dict[tuple[int, float, tuple[str, ...]], Client] = {}


def _client(destination: Destination) -> Client:
    """This process's client for the destination, with its open connections."""
    networks = tuple(settings.ALLOWED_NETWORKS)
    key = (destination.id, destination.timeout, networks)
    with _lock:
        client = _clients.pop(key, None)
        if client is None:
            limits = Limits.within(destination.timeout)
            client = Client(allowed_networks=networks, pool_size=4 * SLOTS, limits=limits)
        _clients[key] = client  # the newest stands last
        if len(_clients) > _CLIENTS:
            _clients.pop(next(iter(_clients))).close()
        return client
