from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.answers import Kind, Rule, Verdict, judge
from deliveries.client import Answer

PLAIN = Rule()


def answered(status: int, content: bytes = b"", **more: Any) -> Answer:
    return Answer(status=status, reason=more.pop("reason", "Reason"), content=content, **more)


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            *[(status, Kind.SUCCEEDED) for status in (200, 201, 202, 204, 299)],
            *[(status, Kind.AGAIN) for status in (408, 425, 500, 502, 503, 504, 599)],
            (429, Kind.THROTTLED),
            *[(status, Kind.REFUSED) for status in (401, 403, 410)],
            (409, Kind.CONFLICT),
            *[
                (status, Kind.FAILED)
                for status in (101, 199, 300, 301, 302, 304, 400, 404, 405, 413, 422, 600, 999)
            ],
        ],
    )
    def test_each_has_its_meaning(self, status: int, kind: Kind):
        verdict = judge(answered(status), PLAIN)

        assert verdict == Verdict(
            kind,
            f"http_{status}",
            f"The third party answered {status} Reason.",
            hold=60.0 if kind is Kind.THROTTLED else 0.0,
        )

    def test_a_redirect_names_the_place_that_it_was_not_followed_to(self):
        verdict = judge(answered(301, reason="", headers={"location": "https://b.example/"}), PLAIN)

        assert verdict.message == (
            "The third party answered 301: a redirect to https://b.example/, which is not followed."
        )

    def test_what_was_made_has_a_place_too_and_is_no_redirect(self):
        verdict = judge(answered(201, headers={"location": "https://b.example/7"}), PLAIN)

        assert verdict.message == "The third party answered 201 Reason."

    @pytest.mark.parametrize(("status", "told"), [(422, " Reason: SKU unknown."), (200, " Reason.")])
    def test_its_own_words_are_told_where_it_did_not_succeed(self, status: int, told: str):
        verdict = judge(answered(status, body='{"message": "SKU unknown"}'), PLAIN)

        assert verdict.message == f"The third party answered {status}{told}"

    def test_accepted_is_not_yet_a_success_where_replies_are_awaited(self):
        assert judge(answered(202), Rule(replies=True)).kind is Kind.ACCEPTED
        assert judge(answered(200), Rule(replies=True)).kind is Kind.SUCCEEDED


class TestRetryAfter:
    def test_too_many_requests_hold_the_destination_for_as_long_as_it_says(self):
        verdict = judge(answered(429, retry_after=86400.0), PLAIN)

        assert (verdict.kind, verdict.hold, verdict.retry_after) == (Kind.THROTTLED, 86400.0, 86400.0)

    def test_at_once_is_not_taken_literally_for_an_attempt_that_does_not_count(self):
        assert judge(answered(429, retry_after=0.0), PLAIN).hold == 1.0

    def test_unavailable_holds_the_destination_only_when_it_says_how_long(self):
        assert judge(answered(503, retry_after=30.0), PLAIN).hold == 30.0
        assert judge(answered(503), PLAIN).kind is Kind.AGAIN

    def test_another_failure_only_moves_its_own_next_attempt(self):
        verdict = judge(answered(500, retry_after=30.0), PLAIN)

        assert (verdict.kind, verdict.hold, verdict.retry_after) == (Kind.AGAIN, 0.0, 30.0)


class TestNoAnswer:
    @pytest.mark.parametrize(
        "code",
        [
            *("connect_failed", "dns_failed", "tls_failed", "timeout_connect", "timeout_send"),
            *("timeout_read", "timeout_total", "connection_lost", "broken_answer"),
        ],
    )
    def test_the_network_is_tried_again(self, code: str):
        verdict = judge(Answer(status=None, error="It broke.", error_code=code), PLAIN)

        assert verdict == Verdict(Kind.AGAIN, code, "It broke.")

    @pytest.mark.parametrize("code", ["refused_address", "bad_request"])
    def test_what_we_ourselves_refuse_to_send_fails_for_good(self, code: str):
        verdict = judge(Answer(status=None, error="See ALLOWED_NETWORKS.", error_code=code), PLAIN)

        assert verdict == Verdict(Kind.FAILED, code, "See ALLOWED_NETWORKS.")


class TestStatusesThatCountOtherwise:
    @pytest.mark.parametrize(
        ("status", "meaning"),
        [(404, "succeeded"), (422, "again"), (200, "failed"), (418, "throttled"), (503, "failed")],
    )
    def test_the_destination_s_word_goes_before_the_table(self, status: int, meaning: str):
        verdict = judge(answered(status), Rule(statuses={status: meaning}))

        assert (verdict.kind, verdict.code) == (Kind(meaning), f"http_{status}")

    def test_a_status_that_counts_as_a_success_need_not_confirm_it(self):
        rule = Rule(success_path="ok", statuses={404: "succeeded"})

        assert judge(answered(404, b"not JSON"), rule).kind is Kind.SUCCEEDED


class TestSuccessRule:
    @pytest.mark.parametrize(
        ("content", "path", "value"),
        [
            (b'{"result": {"ok": true}}', "result.ok", True),
            (b'{"result": {"ok": true}}', "$.result.ok", True),
            (b'{"items": [{"state": "done"}]}', "items.0.state", "done"),
            (b'{"code": 0}', "code", 0),
            (b'{"code": 0}', "code", "0"),
            (b'{"ok": true}', "ok", "true"),
            (b'{"error": null}', "error", None),
            (b'{"a": {"y": 1, "x": 2}}', "a", {"x": 2, "y": 1}),
        ],
    )
    def test_an_answer_that_confirms_is_a_success(self, content: bytes, path: str, value: object):
        rule = Rule(success_path=path, success_value=value)

        assert judge(answered(200, content), rule).kind is Kind.SUCCEEDED

    @pytest.mark.parametrize(
        "content",
        [
            b'{"ok": false}',
            b'{"ok": 1}',
            b'{"ok": "true"}',
            b"{}",
            b"[]",
            b"true",
            b"",
            b"<html>",
            b"\xff\x00",
        ],
    )
    def test_one_that_does_not_fails_for_good(self, content: bytes):
        verdict = judge(answered(200, content), Rule(success_path="ok"))

        assert verdict == Verdict(
            Kind.FAILED, "not_confirmed", "The third party answered 200 Reason, but its ok is not true."
        )

    def test_one_that_broke_off_before_it_could_is_tried_again(self):
        verdict = judge(answered(200, b'{"o', broken=True), Rule(success_path="ok"))

        assert (verdict.kind, verdict.code) == (Kind.AGAIN, "answer_cut")

    def test_without_a_rule_a_broken_body_is_a_success(self):
        assert judge(answered(200, b'{"o', broken=True), PLAIN).kind is Kind.SUCCEEDED

    @given(content=st.binary(max_size=60), path=st.text(min_size=1, max_size=10))
    def test_any_body_and_path_give_a_verdict(self, content: bytes, path: str):
        verdict = judge(answered(200, content), Rule(success_path=path, success_value="x"))

        assert verdict.kind in {Kind.SUCCEEDED, Kind.FAILED}
