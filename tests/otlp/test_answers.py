"""How answers of a receiver are handled: refusals, partial success, `Retry-After`."""

from __future__ import annotations

import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from otel_ext.exporters.otlp.sender import OtlpSender
from otel_ext.exporters.otlp.transport.http import HttpTransport
from otel_ext.exporters.otlp.variables import SignalVariables
from otel_ext.protocols import Request
from tests.exporters import samples
from tests.exporters.samples import Counted
from tests.loopback import LoopbackServer
from tests.otlp.providers import send
from tests.otlp.sink import Answer, Sink

if TYPE_CHECKING:
    from otel_ext.record.model import Record

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


SPAN = samples.end("work")
LOG = samples.log("told")


@pytest.mark.parametrize("record", [SPAN, LOG])
@pytest.mark.parametrize(
    ("status", "retry"), [(400, False), (401, False), (413, False), (503, True), (429, True)]
)
def test_only_temporary_failures_are_retried(
    receiver: Sink, record: Record, status: int, retry: bool
) -> None:
    """As OTLP requires: 429, 502, 503 and 504; the message contains the status."""
    receiver.answer = Answer(status)
    sender = OtlpSender()
    result = send(record, sender=sender)
    assert (result.ok, result.retry) == (False, retry)
    assert str(status) in result.message
    sender.close()
    sender.close()


@pytest.mark.parametrize(
    ("asked", "seconds"), [("7", 7), ("", 0), ("soon", 0), ("inf", 0), ("-3", 0)]
)
def test_retry_after_in_seconds_is_returned(receiver: Sink, asked: str, seconds: float) -> None:
    """A value that is not a valid number counts as 0."""
    receiver.answer = Answer(503, retry_after=asked)
    assert send(SPAN).retry_after == seconds


def test_retry_after_with_a_date_is_returned(receiver: Sink) -> None:
    """A date becomes the seconds from now."""
    receiver.answer = Answer(503, retry_after=formatdate(time.time() + 3_600, usegmt=True))
    assert 3_000 <= send(SPAN).retry_after <= 3_600


def test_a_date_without_a_zone_is_in_utc(receiver: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the zone of this machine."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    asked = formatdate(time.time() + 3_600, usegmt=True).removesuffix(" GMT")
    receiver.answer = Answer(503, retry_after=asked)
    found = send(SPAN).retry_after
    monkeypatch.undo()
    time.tzset()
    assert 3_000 <= found <= 3_600


def test_partial_success_is_read(receiver: Sink) -> None:
    """The result has the number of rejected records, and the reason."""
    refused = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    body = ExportTraceServiceResponse(partial_success=refused).SerializeToString()
    receiver.answer = Answer(body=body)
    result = send(SPAN, SPAN, SPAN)
    assert (result.ok, result.rejected, result.message) == (True, 2, "too old")
    assert send(SPAN).rejected == 1  # not more than there were
    lost = ExportLogsPartialSuccess(rejected_log_records=1, error_message="no room")
    body = ExportLogsServiceResponse(partial_success=lost).SerializeToString()
    receiver.answer = Answer(body=body)
    result = send(LOG)
    assert (result.ok, result.rejected, result.message) == (True, 1, "no room")


def test_an_answer_in_json_is_success(receiver: Sink) -> None:
    """Some receivers answer `{}` whatever they were sent."""
    receiver.answer = Answer(body=b"{}")
    result = send(SPAN, LOG)
    assert (result.ok, result.rejected) == (True, 0)
    assert receiver.named("work")


class Talkative(BaseHTTPRequestHandler):
    """Accepts every request; its answers have as many bytes as the test sets, or no end."""

    protocol_version = "HTTP/1.1"
    status: ClassVar[int] = 200
    answer: ClassVar[bytes | None] = None
    written: ClassVar[list[int]] = []
    clients: ClassVar[set[object]] = set()

    def do_POST(self) -> None:
        """Read the request and answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self.clients.add(self.client_address)
        self.send_response(self.status)
        self.send_header("location", "/elsewhere")
        if self.answer is not None:
            self.send_header("content-length", str(len(self.answer)))
            self.end_headers()
            self.wfile.write(self.answer)
            return
        self.end_headers()
        for _ in range(1_000):
            try:
                self.wfile.write(bytes(1_000_000))
            except OSError:
                break
            self.written.append(1_000_000)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base
        """Print nothing."""


def test_an_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a short answer the connection is used again."""
    server = LoopbackServer(Talkative)
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.port}")
    sender = OtlpSender()
    assert send(SPAN, sender=sender).ok
    assert sum(Talkative.written) < 100_000_000
    monkeypatch.setattr(Talkative, "answer", b"{}")
    Talkative.clients.clear()
    assert send(SPAN, sender=sender).ok
    assert send(SPAN, sender=sender).ok
    assert len(Talkative.clients) == 1
    sender.close()
    server.close()


class Gateway(BaseAdapter):
    """Delivers in a way of its own, and makes the answer itself."""

    def send(self, request: PreparedRequest, **_: object) -> Response:  # type: ignore[override]
        """Accept everything."""
        answer = Response()
        answer.status_code, answer.url, answer._content = 200, str(request.url), b""  # noqa: SLF001 - adapters do so
        return answer

    def close(self) -> None:
        """Nothing is open."""


def test_an_answer_of_a_users_adapter_is_read(receiver: Sink) -> None:
    """It has no connection to read from."""
    transport = HttpTransport(SignalVariables("spans"))
    transport._session.mount("http://", Gateway())  # noqa: SLF001 - as a credential provider's session
    assert transport.send(Request("spans", b"", 1)).result.ok
    assert not receiver.requests


def test_an_answer_that_redirects_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not followed either."""
    monkeypatch.setattr(Talkative, "status", 302)
    monkeypatch.setattr(Talkative, "written", [])
    server = LoopbackServer(Talkative)
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.port}")
    assert not send(SPAN).ok
    assert sum(Talkative.written) < 100_000_000
    server.close()


def test_a_refused_connection_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not due to the records."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    result = send(SPAN)
    assert (result.ok, result.retry) == (False, True)
    assert "ConnectionError" in result.message


def test_a_record_that_cannot_be_encoded_loses_only_itself(receiver: Sink) -> None:
    """An invalid span id affects no other span of the batch."""
    broken = samples.end("broken", span_id="not hex")
    result = send(broken, SPAN, LOG._replace(trace_id="?", span_id="?"))
    assert result.ok
    assert [span.name for span in receiver.spans] == ["work"]


def test_the_sender_itself_does_not_retry(receiver: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue retries, since it keeps the records; a call of the sender ends at once."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    receiver.answer = Answer(503, retry_after="30")
    began = time.monotonic()
    result = send(SPAN)
    assert time.monotonic() - began < 20
    assert (result.retry, result.retry_after) == (True, 30.0)
    assert len(receiver.requests) == 1


def test_a_request_is_repeated_where_the_connection_broke(receiver: Sink) -> None:
    """Once, at once, and counted: the receiver may have accepted the records."""
    counted = Counted()
    sender = OtlpSender()
    assert send(SPAN, sender=sender).ok
    assert counted("remote.maybe_twice") == 0
    receiver.unanswered = 1
    assert send(SPAN, samples.end("more", 2), sender=sender).ok
    assert counted("remote.maybe_twice") == 2
    assert len(receiver.named("more")) == 2
    receiver.unanswered = 2
    result = send(SPAN, sender=sender)
    assert (result.ok, result.retry) == (False, True)
    assert counted("remote.maybe_twice") == 3
    sender.close()


def test_a_redirection_is_not_followed(receiver: Sink) -> None:
    """It would turn the request into a GET, or send the headers to another server."""
    receiver.answer = Answer(307)
    result = send(SPAN)
    assert (result.ok, result.retry) == (False, False)
    assert len(receiver.requests) == 1


def test_an_address_that_cannot_be_used_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message contains it."""
    monkeypatch.setenv(ENDPOINT, "collector:4318")
    result = send(SPAN)
    assert (result.ok, result.retry) == (False, False)
    assert "collector:4318" in result.message
