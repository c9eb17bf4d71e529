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


def encrypted(value: Any) -> str:
    """A plain value, as text that only SECRET_KEY reads."""
    return _current().encrypt(orjson.dumps(value)).decode()


def decrypted(text: str) -> Any:
    """The value again; raises UndecryptableSecret once its key is forgotten."""
    try:
        return orjson.loads(_current().decrypt(text.encode()))
    except InvalidToken as exc:
        raise UndecryptableSecret(
            "A stored secret cannot be decrypted: SECRET_KEY has changed. Put the old key into "
            "SECRET_KEY_FALLBACKS, or enter the destination's secrets again."
        ) from exc


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
        return None if value is None else encrypted(value)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        return None if value is None else decrypted(value)
