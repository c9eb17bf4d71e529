"""Clients with short limits, and a third party to send to: also over TLS, and one that never answers."""

import datetime
import ipaddress
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deliveries.client import Answer, Client, Limits, Request
from tests.third_party import RunningThirdParty

QUICK = Limits(connect=0.3, read=0.3, total=0.6)
BODY = b'{"sku": "A-1"}'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of our own for "localhost", and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


@pytest.fixture(scope="module")
def secure_third_party(certificate: tuple[Path, Path]) -> Iterator[RunningThirdParty]:
    with RunningThirdParty(cert=certificate[0], key=certificate[1]) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty_ledger(third_party: RunningThirdParty) -> None:
    third_party.clear()


@pytest.fixture
def client() -> Iterator[Client]:
    with_loopback = Client(allowed_networks=["127.0.0.0/8"], pool_size=4, limits=QUICK)
    yield with_loopback
    with_loopback.close()


@pytest.fixture
def trusting_client(certificate: tuple[Path, Path]) -> Iterator[Client]:
    made = Client(allowed_networks=["127.0.0.0/8"], pool_size=4, limits=QUICK, ca_file=str(certificate[0]))
    yield made
    made.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and then says and reads nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        yield server.getsockname()[1]


def post(url: str, *, body: bytes = BODY, method: str = "POST", **headers: str) -> Request:
    return Request(method, url, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str, after: float = 0.0) -> list[str]:
    """Every name resolves to these addresses from now on; gives the list of names asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        time.sleep(after)
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (family[ipaddress.ip_address(address).version], socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr("deliveries.addresses.socket.getaddrinfo", getaddrinfo)
    return asked


def secure_localhost(third_party: RunningThirdParty, path: str) -> str:
    return f"https://localhost:{third_party.port}{path}"


def assert_storable(answer: Answer) -> None:
    texts = [answer.reason, answer.body, answer.error, *answer.headers, *answer.headers.values()]
    for text in texts:
        assert isinstance(text, str)
        assert "\0" not in text
        assert len(text.encode("utf-8")) <= 8192
