"""The sentence in a refusal's body."""

import pytest

from deliveries.answers import Kind, Rule, judge
from deliveries.client import Answer
from deliveries.said import said


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"error": "price must be a number."}', "price must be a number"),
        ('{"error": {"code": 17, "message": "SKU 4711 unknown"}}', "SKU 4711 unknown"),
        ('{"type": "about:blank", "title": "Bad", "detail": "No such shop"}', "No such shop"),
        ('{"errors": [{"field": "price", "message": "too low"}]}', "too low"),
        ('{"errors": {"price": ["must be positive"]}}', "price: must be positive"),
        ("Rate exceeded\nmore", "Rate exceeded"),
        ("", ""),
        ("<html><body>502</body></html>", ""),
        ('{"ok": false}', ""),
        ('{"error": 7}', ""),
        ('{"error": "cut', ""),
        ("{}", ""),
        ("[[[[[[[[[[]]]]]]]]]]", ""),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_the_sentence_is_found_where_receivers_put_it(body, sentence):
    assert said(body) == sentence


def test_a_refusal_is_told_with_what_the_third_party_said():
    answer = Answer(status=422, reason="Unprocessable Entity", body='{"error": "SKU 4711 unknown"}')
    verdict = judge(answer, Rule())
    assert verdict.kind is Kind.FAILED
    assert verdict.message == "The third party answered 422 Unprocessable Entity: SKU 4711 unknown."


def test_a_success_is_told_without_it():
    answer = Answer(status=200, reason="OK", body='{"message": "thanks"}')
    assert judge(answer, Rule()).message == "The third party answered 200 OK."
