"""Fields whose values are encrypted in the database. A value that cannot be decrypted raises: the
ciphertext must never be sent to a third party in place of the secret."""

import base64
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from deliveries.errors import UndecryptableSecret


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet(
        [
            Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"rowpost.secrets" + key.encode()).digest()))
            for key in keys
        ]
    )


def _current() -> MultiFernet:
    return _cipher((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


if TYPE_CHECKING:
    _Text = models.TextField[Any, Any]
else:
    _Text = models.TextField  # not subscriptable when it runs


class EncryptedJSONField(_Text):
    """A plain value (text, number, list, dict), encrypted with SECRET_KEY; older keys are still read."""

    if TYPE_CHECKING:
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def to_python(self, value: Any) -> Any:
        return value  # not the text of a value, as a TextField would have it

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        return _current().encrypt(orjson.dumps(value)).decode()

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        if value is None:
            return None
        try:
            return orjson.loads(_current().decrypt(value.encode()))
        except InvalidToken as exc:
            raise UndecryptableSecret(
                "A stored secret cannot be decrypted: SECRET_KEY has changed. Put the old key into "
                "SECRET_KEY_FALLBACKS, or enter the destination's secrets again."
            ) from exc
