"""Which addresses may be connected to.

A destination's URL is typed by people, and its name is resolved by somebody else's name server: either may
point into our own network. So the name is resolved once, each address that it gives is checked, and that very
address is connected to; resolving again to connect would let the name server answer differently.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_URL = 2000

# IANA's special-purpose registries, with the words used in the refusal. Not `ip_address(...).is_global`: it
# counts multicast as global, and what it says changed between patch releases of Python.
SPECIAL_NETWORKS: list[tuple[Network, str]] = [
    (ipaddress.ip_network(network), words)
    for network, words in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a carrier's private address (CGNAT)"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a reserved address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("ff00::/8", "a multicast address"),
        ("2001::/32", "a tunnel's address (Teredo)"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("2002::/16", "a tunnel's address (6to4)"),
        ("3fff::/20", "a documentation address"),
    )
]
GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
# Addresses of these stand for the IPv4 address in their last four bytes, and are judged as that.
STANDS_FOR_IPV4 = [ipaddress.ip_network("::ffff:0:0/96"), ipaddress.ip_network("64:ff9b::/96")]


class AddressError(Exception):
    """No address of the host can be connected to."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class AddressRules:
    """Which addresses may be connected to: public ones, and those of the allowed networks."""

    def __init__(self, allowed_networks: Iterable[str]) -> None:
        """Takes networks such as "10.0.0.0/8", as ALLOWED_NETWORKS lists them; else ValueError."""
        self._allowed = [ipaddress.ip_network(network) for network in allowed_networks]

    def refusal(self, host: str, address: str) -> str:
        """Why `address`, which `host` resolved to, may not be connected to; "" if it may."""
        parsed = ipaddress.ip_address(address.partition("%")[0])
        if self._is_allowed(parsed):
            return ""
        judged = _ipv4_inside(parsed) or parsed
        if self._is_allowed(judged) or not (kind := _special_kind(judged)):
            return ""
        place = host if host == str(parsed) else f"{host} ({parsed})"
        return f"{place} is {kind}; nothing is sent there unless the setting ALLOWED_NETWORKS contains it."

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)


def _ipv4_inside(address: Address) -> ipaddress.IPv4Address | None:
    if any(address in network for network in STANDS_FOR_IPV4):
        return ipaddress.IPv4Address(address.packed[-4:])
    return None


def _special_kind(address: Address) -> str:
    for network, words in SPECIAL_NETWORKS:
        if address in network:
            return words
    if address.version == 6 and address not in GLOBAL_IPV6:
        return "a reserved address"
    return ""


def permitted_addresses(rules: AddressRules, host: str, port: int, *, seconds: float) -> list[str]:
    """The addresses of `host` that may be connected to, in the resolver's order; at least one.

    Raises AddressError: "dns_failed" when the name gives no address within `seconds`, "refused_address" when
    none of its addresses is permitted.
    """
    addresses = _resolve(host, port, seconds)
    refusals = {address: rules.refusal(host, address) for address in addresses}
    permitted = [address for address in addresses if not refusals[address]]
    if not permitted:
        raise AddressError("refused_address", refusals[addresses[0]])
    return permitted


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        addresses = _lookups.result(host, port, seconds)
    except TimeoutError:
        sentence = f"The name {host} was not resolved within {seconds:.1f} s."
        raise AddressError("dns_failed", sentence) from None
    except (OSError, UnicodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise AddressError("dns_failed", f"The name {host} cannot be resolved ({reason}).") from exc
    if not addresses:
        raise AddressError("dns_failed", f"The name {host} has no address.")
    return addresses


class _Lookups:
    """Name look-ups that can be given up on.

    `getaddrinfo` knows no time limit and may take half a minute. It runs in a thread of its own, one for all
    who ask for the same name at the same time, so that a silent name server does not gather threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[list[str]]] = {}

    def result(self, host: str, port: int, seconds: float) -> list[str]:
        key = (host, port)
        with self._lock:
            future = self._running.get(key)
            if future is None:
                future = self._running[key] = Future()
                threading.Thread(target=self._look_up, args=(key, future), daemon=True).start()
        return list(future.result(timeout=seconds))

    def _look_up(self, key: tuple[str, int], future: Future[list[str]]) -> None:
        try:
            found = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except Exception as exc:
            self._forget(key)
            future.set_exception(exc)
        else:
            self._forget(key)
            future.set_result(addresses)

    def _forget(self, key: tuple[str, int]) -> None:
        with self._lock:
            del self._running[key]


_lookups = _Lookups()


def problem_with_url(url: str) -> str:
    """What is wrong with a destination's URL typed by a person, in one sentence; "" if nothing is."""
    if not url.strip():
        return "Enter the URL that requests are sent to."
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return "The URL must not contain spaces or control characters."
    if len(url) > LONGEST_URL:
        return f"The URL must have at most {LONGEST_URL} characters."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "The URL's host or port cannot be read."
    if parts.scheme.lower() not in {"http", "https"}:
        return "The URL must start with http:// or https://."
    if not host or not _is_name(host):
        return "The URL must name a host, as in https://shop.example/orders."
    if port == 0:
        return "The URL's port must be between 1 and 65535."
    if "@" in parts.netloc:
        return (
            "The URL must not contain a user name or password, for pages show it. Enter them under the "
            "authentication, as user name and password (basic)."
        )
    if "#" in url:
        return "The URL must not contain a fragment (#…); it would never be sent."
    return ""


def same_origin(one: str, other: str) -> bool:
    """Whether both lead to the same server, over the same protocol."""
    ends = [urlsplit(url) for url in (one, other)]
    first, second = (
        (end.scheme.lower(), end.hostname, end.port or {"http": 80, "https": 443}.get(end.scheme.lower()))
        for end in ends
    )
    return first == second


def _is_name(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return all(re.fullmatch(r"[\w-]{1,63}", label) for label in host.removesuffix(".").split("."))
