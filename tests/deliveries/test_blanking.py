"""Dots take the place of secrets, in every way in which a third party may write them."""

import pytest

from deliveries.authentication import HIDDEN
from deliveries.blanking import blanks, secrets_of
from deliveries.client import STORED_OF_FAILURE, STORED_OF_SUCCESS, Answer
from deliveries.models import Destination

FAR = 8192


def blanked(text, *secrets, limit=FAR):
    return blanks(frozenset(secrets)).text(text, limit)


def of(**fields):
    return secrets_of(Destination(**fields))


@pytest.mark.parametrize(
    "written",
    [
        'a/b"c d&e',
        r"a/b\"c d&e",
        r"a\/b\"c d&e",
        "a%2Fb%22c%20d%26e",
        "a%2Fb%22c+d%26e",
        "a/b&quot;c d&amp;e",
    ],
)
def test_a_secret_is_found_as_text_in_json_in_a_url_and_in_html(written):
    assert blanked(f"before {written} after", 'a/b"c d&e') == f"before {HIDDEN} after"


def test_a_secret_is_found_in_json_that_leaves_letters_as_they_are():
    assert blanked(r'{"said": "schlüssel\"1"}', 'schlüssel"1') == f'{{"said": "{HIDDEN}"}}'


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=500, body="No top-secret."),
        Answer(status=500, reason="No top-secret"),
        Answer(status=None, error="No top-secret."),
        Answer(status=500, headers={"x-said": "No top-secret."}),
    ],
)
def test_a_secret_is_found_wherever_an_answer_has_it(answer):
    found = str(blanks(frozenset({"top-secret"})).answer(answer))
    assert f"No {HIDDEN}" in found
    assert "secret" not in found


def test_of_two_secrets_the_longer_is_not_left_half():
    assert blanked("secret-1 secret-1-more", "secret-1", "secret-1-more") == f"{HIDDEN} {HIDDEN}"


def test_a_short_secret_is_found_as_a_word_of_its_own_and_a_very_short_one_not():
    assert blanked("abc abcde xabc (abc) a", "abc", "a") == f"{HIDDEN} abcde xabc ({HIDDEN}) a"


@pytest.mark.parametrize("secret", ["abc", "abcde", "abcdef", "abcdefg"])
def test_a_secret_is_blanked_whatever_its_length(secret):
    answer = blanks(frozenset({secret})).answer(Answer(status=500, body=f"No {secret}."))
    assert answer.body == f"No {HIDDEN}."


@pytest.mark.parametrize("beginning", ["top-se", "top-secre"])
def test_a_secret_that_was_cut_with_its_text_does_not_show_its_beginning(beginning):
    text = "x" * 20 + beginning
    assert blanked(text, "top-secret", limit=len(text)) == "x" * 20 + HIDDEN
    assert blanked(text, "top-secret", limit=100) == text


@pytest.mark.parametrize(("status", "limit"), [(500, STORED_OF_FAILURE), (200, STORED_OF_SUCCESS)])
def test_a_body_that_is_cut_in_the_middle_of_a_secret_is_blanked_to_its_end(status, limit):
    body = "x" * (limit - 8) + "top-secr"
    answer = blanks(frozenset({"top-secret"})).answer(Answer(status=status, body=body))
    assert answer.body.endswith(f"x{HIDDEN}")


def test_of_headers_the_parts_that_may_be_repeated_alone_are_secrets_too():
    assert {"Bearer top-secret", "top-secret"} <= of(headers={"Authorization": "Bearer top-secret"})
    assert "Bearer" not in of(headers={"Authorization": "Bearer top-secret"})
    assert "top-secret" in of(headers={"Authorization": "Basic YW5uYTp0b3Atc2VjcmV0"})
    assert "Basic not-base64!" in of(headers={"Authorization": "Basic not-base64!"})


@pytest.mark.parametrize(
    ("fields", "secrets"),
    [
        (
            {"auth": "basic", "credentials": {"user": "anna", "password": "top-secret"}},
            {"top-secret", "YW5uYTp0b3Atc2VjcmV0"},
        ),
        (
            {"auth": "oauth2", "credentials": {"client_id": "shop", "client_secret": "top secret"}},
            {"top secret", "c2hvcDp0b3Arc2VjcmV0"},
        ),
        ({"headers": {"Cookie": 'session=top-secret; more="as-secret"'}}, {"top-secret", "as-secret"}),
    ],
)
def test_credentials_are_secrets_as_they_were_entered_and_as_they_are_sent(fields, secrets):
    assert secrets <= of(**fields)


def test_a_signing_secret_is_one_with_and_without_what_it_begins_with():
    secrets = of(signing_secret="whsec_bm9ib2R5IG1heSBzZWU=")
    assert {"whsec_bm9ib2R5IG1heSBzZWU=", "bm9ib2R5IG1heSBzZWU="} <= secrets
    assert blanked("whsec_bm9ib2R5IG1heSBzZWU= bm9ib2R5IG1heSBzZWU=", *secrets) == f"{HIDDEN} {HIDDEN}"


def test_a_header_that_can_hold_no_secret_and_a_short_value_stay():
    assert of(headers={"Accept": "application/json", "X-Shop": "main"}) == {""}
    assert blanked("application/json", *of(headers={"Accept": "application/json"})) == "application/json"


def test_an_answer_to_a_destination_without_secrets_is_left_as_it_is():
    answer = Answer(status=200, body="ok")
    assert blanks(of()).answer(answer) is answer
