"""No message has a secret, and half of a client's certificate is refused."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.otlp.grpc_receiver import Refusal
from tests.otlp.sink import Answer
from tests.otlp.test_variables import Peers

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Generator[Peers, None, None]:
    """Return an object that runs receivers for a test."""
    with ExitStack() as stack:
        yield Peers(stack, monkeypatch)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    ("endpoint", "headers"),
    [
        ("http://me:S3CRET@127.0.0.1:{port}", ""),
        ("me:S3CRET@127.0.0.1:{port}", ""),
        ("http://127.0.0.1:{port}?key=S3CRET", ""),
        ("http://127.0.0.1:{port}", "key=S3CRET%0Ax"),
        ("http://127.0.0.1:{port}", "key=Bearer S3CRET"),
    ],
)
def test_no_message_has_a_secret(peers: Peers, protocol: str, endpoint: str, headers: str) -> None:
    """Neither of the address nor of a header, whether there is an answer or none."""
    sink, receiver = peers.http(), peers.grpc()
    sink.answer = Answer(403)
    receiver.behave = lambda _: Refusal("UNAUTHENTICATED", f"not with {headers[4:]}")
    for port in (9, receiver.port if protocol == "grpc" else sink.port):
        common = {"PROTOCOL": protocol, "HEADERS": headers, "TIMEOUT": 2}
        result = peers.send(TRACES_ENDPOINT=endpoint.format(port=port), **common)
        assert not result.ok
        assert result.message
        assert "S3CRET" not in result.message


@pytest.mark.parametrize("name", ["CLIENT_KEY", "CLIENT_CERTIFICATE"])
@pytest.mark.parametrize("other", ["absent", "empty"])
def test_half_of_a_client_certificate_is_refused(
    peers: Peers, tmp_path: Path, name: str, other: str
) -> None:
    """GRPC itself would end the process."""
    (tmp_path / "one.pem").write_text("some data")
    (tmp_path / "empty.pem").touch()
    (missing,) = {"CLIENT_KEY", "CLIENT_CERTIFICATE"} - {name}
    variables = {name: tmp_path / "one.pem", "PROTOCOL": "grpc", "ENDPOINT": "https://localhost:9"}
    if other == "empty":
        variables[missing] = tmp_path / "empty.pem"
    result = peers.send(**variables)
    assert not result.ok
    assert f"OTEL_EXPORTER_OTLP_{name} needs OTEL_EXPORTER_OTLP_{missing}" in result.message
