"""URLs as people may see them: dots stand for the values of parameters that are known to carry secrets."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from urllib.parse import unquote_plus

from deliveries.authentication import HIDDEN

# Without case and signs: `api_key`, `apiKey` and `X-Api-Key` are written alike.
_NAMES = frozenset(
    {
        "accesskey", "accesstoken", "apikey", "apisecret", "apitoken", "appkey", "authkey", "authorization",
        "authtoken", "bearer", "clientsecret", "credential", "credentials", "hmac", "jwt", "passphrase",
        "passwd", "password", "privatekey", "pwd", "refreshtoken", "secret", "secretkey", "securitytoken",
        "sessiontoken", "sharedsecret", "sig", "signature", "subscriptionkey", "token", "webhooksecret",
        "xamzcredential", "xamzsecuritytoken", "xamzsignature", "xapikey",
    }
)  # fmt: skip
# In a destination's URL these let us in; in the path of a row they may as well name what it is about.
_OWN_NAMES = _NAMES | {"auth", "code", "key", "pass"}
_PARAMETER = re.compile(r"(?<=[?&;])([^=&;#]+)=([^&;#]*)")


def shown_url(url: str) -> str:
    """A destination's URL for a page."""
    return _blanked(url, _OWN_NAMES)


def shown_path(path: str) -> str:
    """What a row appends to it, for a page."""
    return _blanked(path, _NAMES)


def _blanked(text: str, names: frozenset[str]) -> str:
    return _PARAMETER.sub(lambda found: f"{found[1]}={HIDDEN}" if _hides(found, names) else found[0], text)


def url_secrets(url: str) -> Iterator[str]:
    """What `shown_url` hides, as it is written and as it is meant: a third party may repeat either."""
    for found in _PARAMETER.finditer(url):
        if _hides(found, _OWN_NAMES):
            yield from (found[2], unquote_plus(found[2]))


def entered_url(entered: str, stored: str) -> str:
    """What a person made of a shown URL: where the dots still stand, the stored values. Raises LookupError
    with the parameter's name where none is stored, or nobody can tell which of several."""
    known: dict[str, list[str]] = defaultdict(list)
    for found in _PARAMETER.finditer(stored):
        known[found[1]].append(found[2])
    times = Counter(found[1] for found in _PARAMETER.finditer(entered))
    seen: Counter[str] = Counter()

    def value(found: re.Match[str]) -> str:
        name, place = found[1], seen[found[1]]
        seen[name] += 1
        if found[2] != HIDDEN:
            return found[0]
        if len(known[name]) not in (1, times[name]):
            raise LookupError(name)
        return f"{name}={known[name][place if len(known[name]) > 1 else 0]}"

    return _PARAMETER.sub(value, entered)


def _hides(found: re.Match[str], names: frozenset[str]) -> bool:
    name = re.sub(r"[\W_]", "", unquote_plus(found[1]).lower())
    return bool(found[2]) and name in names
