import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from deliveries.signing import new_secret, problem_with_secret, signing_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class TestSigningHeaders:
    def test_a_third_party_can_check_them_with_the_standard_s_library(self):
        body = '{"sku": "Größe"}'.encode()
        headers = signing_headers(SECRET, message_id="msg-1", body=body)

        assert Webhook(SECRET).verify(body, headers) == {"sku": "Größe"}

    def test_another_body_id_time_or_secret_does_not_fit(self):
        headers = signing_headers(SECRET, message_id="msg-1", body=b"{}")

        for body, changed in (
            (b"[]", {}),
            (b"{}", {"webhook-id": "msg-2"}),
            (b"{}", {"webhook-timestamp": str(int(time.time()) + 5)}),
        ):
            with pytest.raises(WebhookVerificationError):
                Webhook(SECRET).verify(body, headers | changed)
        with pytest.raises(WebhookVerificationError):
            Webhook(new_secret()).verify(b"{}", headers)

    def test_they_are_those_of_the_specification_s_example(self):
        headers = signing_headers(
            SECRET,
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            body=b'{"test": 2432232314}',
            timestamp=1614265330.9,
        )

        assert headers == {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        }

    @given(st.binary(max_size=50))
    def test_a_body_of_any_bytes_can_be_signed(self, body: bytes):
        assert signing_headers(SECRET, message_id="m", body=body)["webhook-signature"].startswith("v1,")


class TestSecrets:
    def test_a_new_one_is_sound_and_never_the_same(self):
        first, second = new_secret(), new_secret()

        assert problem_with_secret(first) == ""
        assert first != second

    def test_padding_may_be_left_out(self):
        assert problem_with_secret("whsec_" + base64.b64encode(b"x" * 25).decode().rstrip("=")) == ""

    @pytest.mark.parametrize(
        ("secret", "word"),
        [
            ("", "starts with whsec_"),
            ("hunter2", "starts with whsec_"),
            ("whsec_not base64!", "base64"),
            ("whsec_ö", "base64"),
            ("whsec_A", "base64"),
            ("whsec_" + base64.b64encode(b"x" * 23).decode(), "24 to 64 bytes, not 23"),
            ("whsec_" + base64.b64encode(b"x" * 65).decode(), "24 to 64 bytes, not 65"),
            ("whsec_", "24 to 64 bytes"),
        ],
    )
    def test_another_is_answered_with_one_sentence_that_does_not_repeat_it(self, secret: str, word: str):
        problem = problem_with_secret(secret)

        assert word in problem
        assert problem.endswith(".")
        assert len(secret) < 10 or secret[6:] not in problem

    @given(st.text(max_size=40))
    def test_any_text_is_survived(self, text: str):
        assert isinstance(problem_with_secret("whsec_" + text), str)
