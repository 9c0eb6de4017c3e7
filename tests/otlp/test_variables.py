"""OpenTelemetry's own variables, `OTEL_EXPORTER_OTLP_...`, work as documented."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import grpc  # type: ignore[import-untyped]
import pytest

from otel_ext.errors import ConfigError
from otel_ext.exporters.otlp.sender import OtlpSender
from tests.exporters import samples
from tests.otlp.grpc_receiver import GrpcReceiver, grpc_receiver
from tests.otlp.providers import send
from tests.otlp.sink import Sink, black_hole

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from otel_ext.protocols import SendResult

SPAN = samples.end("work")
LOG = samples.log("told")
# These come first in the HTTP library.
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Peers:
    """Runs receivers of both protocols, and sends to them by variables."""

    def __init__(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stack = stack
        self._monkeypatch = monkeypatch

    def http(self, tls: ssl.SSLContext | None = None) -> Sink:
        """Run a receiver of OTLP/HTTP."""
        made = Sink(tls)
        self._stack.callback(made.close)
        return made

    def grpc(self, credentials: grpc.ServerCredentials | None = None) -> GrpcReceiver:
        """Run a receiver of OTLP/gRPC."""
        return self._stack.enter_context(grpc_receiver(credentials))

    def send(self, **variables: object) -> SendResult:
        """Send a span and a log with variables `OTEL_EXPORTER_OTLP_...`.

        `TIMEOUT` is 30 s, unless it is among them.
        """
        for name, value in {"TIMEOUT": 30, **variables}.items():
            self._monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", str(value))
        return send(SPAN, LOG)


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Generator[Peers, None, None]:
    """Return an object that runs receivers for a test."""
    with ExitStack() as stack:
        yield Peers(stack, monkeypatch)


def test_the_general_endpoint_is_the_base_of_both(peers: Peers) -> None:
    """`ENDPOINT` gets the path of each signal appended."""
    sink = peers.http()
    assert peers.send(ENDPOINT=f"http://127.0.0.1:{sink.port}/base").ok
    assert sorted(sink.requests) == ["/base/v1/logs", "/base/v1/traces"]


def test_a_signal_has_its_own_endpoint(peers: Peers) -> None:
    """`TRACES_ENDPOINT` and `LOGS_ENDPOINT` are used unchanged, and override the general one."""
    traces, logs, unused = peers.http(), peers.http(), peers.http()
    result = peers.send(
        ENDPOINT=f"http://127.0.0.1:{unused.port}",
        TRACES_ENDPOINT=f"http://127.0.0.1:{traces.port}/my/traces",
        LOGS_ENDPOINT=f"http://127.0.0.1:{logs.port}/my/logs",
    )
    assert result.ok
    assert (traces.requests, logs.requests) == (["/my/traces"], ["/my/logs"])
    assert not unused.requests


def test_signals_over_grpc_have_their_own_endpoints(peers: Peers) -> None:
    """Likewise over gRPC."""
    traces, logs = peers.grpc(), peers.grpc()
    assert peers.send(
        PROTOCOL="grpc",
        ENDPOINT=f"http://127.0.0.1:{traces.port}",
        LOGS_ENDPOINT=f"http://127.0.0.1:{logs.port}",
    ).ok
    assert (traces.spans, traces.logs) == (["work"], [])
    assert (logs.spans, logs.logs) == ([], ["told"])


@pytest.mark.parametrize(("traces", "logs"), [("grpc", "http/protobuf"), ("http/protobuf", "grpc")])
def test_a_signal_has_its_own_protocol(peers: Peers, traces: str, logs: str) -> None:
    """`TRACES_PROTOCOL` and `LOGS_PROTOCOL` override `PROTOCOL`."""
    sink, receiver = peers.http(), peers.grpc()
    ports = {"grpc": f"{receiver.port}", "http/protobuf": f"{sink.port}/v1/any"}
    result = peers.send(
        PROTOCOL="grpc",
        TRACES_PROTOCOL=traces,
        LOGS_PROTOCOL=logs,
        TRACES_ENDPOINT=f"http://127.0.0.1:{ports[traces]}/traces".replace("any/", ""),
        LOGS_ENDPOINT=f"http://127.0.0.1:{ports[logs]}/logs".replace("any/", ""),
    )
    assert result.ok
    over_grpc = [*receiver.spans, *receiver.logs]
    assert over_grpc == (["work"] if traces == "grpc" else ["told"])
    assert sink.requests == (["/v1/logs"] if traces == "grpc" else ["/v1/traces"])


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_headers_are_sent(peers: Peers, protocol: str) -> None:
    """`HEADERS` with both signals; `LOGS_HEADERS` replaces them for logs."""
    sink, receiver = peers.http(), peers.grpc()
    port = receiver.port if protocol == "grpc" else sink.port
    assert peers.send(
        PROTOCOL=protocol,
        ENDPOINT=f"http://127.0.0.1:{port}",
        HEADERS="x-token=se%20cret,x-tenant=7",
        LOGS_HEADERS="x-token=other",
    ).ok
    traces = receiver.headers["spans"] if protocol == "grpc" else sink.headers["traces"]
    logs = receiver.headers["logs"] if protocol == "grpc" else sink.headers["logs"]
    assert (traces["x-token"], traces["x-tenant"]) == ("se cret", "7")
    assert logs["x-token"] == "other"
    assert "x-tenant" not in logs


def test_proxies_and_passwords_are_those_of_requests(
    peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HTTP_PROXY` and a file of `NETRC` are used, as by any program with that library."""
    sink = peers.http()
    passwords = tmp_path / "netrc"
    passwords.write_text("machine collector.invalid login ann password secret")
    monkeypatch.setenv("NETRC", str(passwords))
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{sink.port}")
    assert peers.send(ENDPOINT="http://collector.invalid:4318").ok
    assert "http://collector.invalid:4318/v1/traces" in sink.requests
    assert sink.headers["traces"]["authorization"] == "Basic YW5uOnNlY3JldA=="


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_requests_are_compressed(peers: Peers, compression: str) -> None:
    """`COMPRESSION`, or for one signal only; the records arrive."""
    sink = peers.http()
    endpoint = f"http://127.0.0.1:{sink.port}"
    assert peers.send(ENDPOINT=endpoint, TRACES_COMPRESSION=compression).ok
    assert sink.headers["traces"]["content-encoding"] == compression
    assert "content-encoding" not in sink.headers["logs"]
    assert peers.send(ENDPOINT=endpoint, COMPRESSION=compression.upper()).ok
    assert sink.headers["logs"]["content-encoding"] == compression
    assert len(sink.named("work")) == len(sink.of("otel_ext.log")) == 2


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_requests_over_grpc_are_compressed(peers: Peers, compression: str) -> None:
    """The compressed records arrive."""
    receiver = peers.grpc()
    endpoint = f"http://127.0.0.1:{receiver.port}"
    assert peers.send(PROTOCOL="grpc", ENDPOINT=endpoint, COMPRESSION=compression).ok
    assert (receiver.spans, receiver.logs) == (["work"], ["told"])


@pytest.mark.parametrize(
    ("name", "value"), [("COMPRESSION", "zstd"), ("TIMEOUT", "soon"), ("TIMEOUT", "0")]
)
def test_a_value_that_cannot_be_used_is_reported_and_ignored(
    peers: Peers, name: str, value: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The line has the variable and the value; the records arrive."""
    sink = peers.http()
    assert peers.send(ENDPOINT=f"http://127.0.0.1:{sink.port}", **{name: value}).ok
    assert len(sink.named("work")) == 1
    assert "content-encoding" not in sink.headers["traces"]
    printed = capfd.readouterr().err
    assert f"OTEL_EXPORTER_OTLP_{name} is ignored: '{value}'" in printed


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_receivers_see_who_sends(peers: Peers, protocol: str) -> None:
    """The user agent has OpenTelemetry's name and ours; a header of the user replaces it."""
    sink, receiver = peers.http(), peers.grpc()
    port = receiver.port if protocol == "grpc" else sink.port
    assert peers.send(PROTOCOL=protocol, ENDPOINT=f"http://127.0.0.1:{port}").ok
    headers = receiver.headers["spans"] if protocol == "grpc" else sink.headers["traces"]
    assert re.match(r"otel-ext/\S+ OTel-OTLP-Exporter-Python/1\.\d+", headers["user-agent"])
    if protocol == "http/protobuf":
        assert peers.send(HEADERS="User-Agent=mine").ok
        assert sink.headers["traces"]["user-agent"] == "mine"


class Certificate(NamedTuple):
    """A self-signed certificate for localhost, and its key."""

    file: Path
    key: Path


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Make a certificate."""
    made = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(made.key), "-out", str(made.file)),
        ],
        check=True,
        capture_output=True,
    )
    return made


PROVIDER = """
import pathlib, grpc, requests
def over_http():
    session = requests.Session()
    session.headers["authorization"] = "Bearer for all"
    return session
def for_traces():
    session = requests.Session()
    session.headers["authorization"] = "Bearer for traces"
    return session
def over_grpc():
    return grpc.ssl_channel_credentials(pathlib.Path(CERTIFICATE).read_bytes())
def wrong():
    return 7
"""


@pytest.fixture
def providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with credential providers; return the certificate that one reads."""
    certificate = tmp_path / "trusted.pem"
    folder = tmp_path / "site"
    facts = folder / "my_credentials-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-credentials\nVersion: 1.0\n")
    names = ("over_http", "for_traces", "over_grpc", "wrong")
    lines = [f"{name} = my_credentials:{name}" for name in names]
    group = "[opentelemetry_otlp_credential_provider]"
    (facts / "entry_points.txt").write_text("\n".join([group, *lines]))
    (folder / "my_credentials.py").write_text(f"CERTIFICATE = {str(certificate)!r}{PROVIDER}")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.delitem(sys.modules, "my_credentials", raising=False)
    return certificate


@pytest.mark.usefixtures("providers")
def test_a_credential_provider_makes_the_session(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP; the one for a signal comes before the general one."""
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "over_http")
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "for_traces")
    sink = peers.http()
    assert peers.send(ENDPOINT=f"http://127.0.0.1:{sink.port}").ok
    assert sink.headers["traces"]["authorization"] == "Bearer for traces"
    assert sink.headers["logs"]["authorization"] == "Bearer for all"


@pytest.mark.needs("openssl")
def test_a_credential_provider_makes_the_credentials(
    peers: Peers, providers: Path, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over gRPC."""
    shutil.copy(certificate.file, providers)
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_GRPC_CREDENTIAL_PROVIDER", "over_grpc")
    pair = (certificate.key.read_bytes(), certificate.file.read_bytes())
    receiver = peers.grpc(grpc.ssl_server_credentials([pair]))
    assert peers.send(PROTOCOL="grpc", ENDPOINT=f"https://localhost:{receiver.port}").ok
    assert (receiver.spans, receiver.logs) == (["work"], ["told"])


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.usefixtures("providers")
def test_a_wrong_credential_provider_is_reported(
    peers: Peers, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is missing at set-up; one of another type with the first request."""
    name = f"OTEL_PYTHON_EXPORTER_OTLP_{protocol[:4].upper()}_CREDENTIAL_PROVIDER"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv(name, "absent")
    with pytest.raises(ConfigError, match=f"{name}: there is no credential provider 'absent'"):
        OtlpSender()
    monkeypatch.setenv(name, "wrong")
    result = peers.send(ENDPOINT="https://localhost:9")
    assert (result.ok, result.retry) == (False, True)
    assert "it returns a int" in result.message


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("names", [("TIMEOUT",), ("TRACES_TIMEOUT", "LOGS_TIMEOUT")])
def test_a_request_waits_no_longer_than_its_timeout(
    peers: Peers, protocol: str, names: tuple[str, ...]
) -> None:
    """`TIMEOUT`, in seconds, of one request; without an answer it is a temporary failure."""
    with black_hole() as port:
        began = time.monotonic()
        result = peers.send(
            PROTOCOL=protocol, ENDPOINT=f"http://127.0.0.1:{port}", **dict.fromkeys(names, 0.5)
        )
        assert 0.9 <= time.monotonic() - began < 9  # two requests
    assert (result.ok, result.retry) == (False, True)


@pytest.mark.needs("openssl")
def test_the_trusted_certificate_is_read(
    peers: Peers, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`CERTIFICATE` names it; without it the receiver is not trusted and gets nothing."""
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)
    sink = peers.http(context)
    endpoint = f"https://localhost:{sink.port}"
    refused = peers.send(ENDPOINT=endpoint)
    assert (refused.ok, refused.retry) == (False, True)
    assert "CERTIFICATE_VERIFY_FAILED" in refused.message
    assert peers.send(ENDPOINT=endpoint, CERTIFICATE=certificate.file).ok
    assert len(sink.named("work")) == len(sink.of("otel_ext.log")) == 1


@pytest.mark.needs("openssl")
def test_the_trusted_certificate_is_read_for_grpc(peers: Peers, certificate: Certificate) -> None:
    """Likewise over gRPC, where `CERTIFICATE` may be for one signal."""
    pair = (certificate.key.read_bytes(), certificate.file.read_bytes())
    receiver = peers.grpc(grpc.ssl_server_credentials([pair]))
    endpoint = f"https://localhost:{receiver.port}"
    refused = peers.send(PROTOCOL="grpc", ENDPOINT=endpoint, TIMEOUT=1)
    assert (refused.ok, refused.retry) == (False, True)
    peers.send(ENDPOINT=endpoint, TRACES_CERTIFICATE=certificate.file)
    assert (receiver.spans, receiver.logs) == (["work"], [])
    assert peers.send(ENDPOINT=endpoint, CERTIFICATE=certificate.file).ok
    assert (receiver.spans, receiver.logs) == (["work", "work"], ["told"])


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_certificate_of_the_client_is_sent(
    peers: Peers, certificate: Certificate, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`CLIENT_CERTIFICATE` and `CLIENT_KEY`, to a receiver that requires them."""
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate.file)
    context.load_cert_chain(certificate.file, certificate.key)
    context.verify_mode = ssl.CERT_REQUIRED
    pair = (certificate.key.read_bytes(), certificate.file.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], pair[1], require_client_auth=True)
    sink, receiver = peers.http(context), peers.grpc(credentials)
    endpoint = f"https://localhost:{receiver.port if protocol == 'grpc' else sink.port}"
    common = {"PROTOCOL": protocol, "ENDPOINT": endpoint, "CERTIFICATE": certificate.file}
    assert not peers.send(**common, TIMEOUT=1).ok
    assert peers.send(CLIENT_CERTIFICATE=certificate.file, CLIENT_KEY=certificate.key).ok
    assert [*receiver.spans, *(span.name for span in sink.spans)] == ["work"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_file_that_is_missing_is_named(
    peers: Peers, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a temporary failure, so the records wait until the file is there."""
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)
    result = peers.send(
        PROTOCOL=protocol, ENDPOINT="https://localhost:9", CERTIFICATE="/absent/ca.pem"
    )
    assert (result.ok, result.retry) == (False, True)
    assert "/absent/ca.pem" in result.message


def test_an_insecure_connection_is_made_if_configured(peers: Peers) -> None:
    """`INSECURE`, for gRPC and an endpoint without `http://`."""
    receiver = peers.grpc()
    endpoint = f"localhost:{receiver.port}"
    refused = peers.send(PROTOCOL="grpc", ENDPOINT=endpoint, TIMEOUT=1)
    assert (refused.ok, refused.retry) == (False, True)
    assert peers.send(ENDPOINT=endpoint, INSECURE="true").ok
    assert (receiver.spans, receiver.logs) == (["work"], ["told"])
