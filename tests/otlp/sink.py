"""A real collector for tests, and a sink behind it that decodes what it forwards."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sysconfig
import threading
import zlib
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.loopback import LoopbackServer
from tests.programs import environment, free_port, is_listening, wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord


class Span(NamedTuple):
    """A span as it arrived; its ids are in hex."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    start_ns: int
    end_ns: int
    kind: int
    status: int
    attributes: dict[str, object]
    resource: dict[str, object]
    scope: str
    events: list[str]
    links: list[str]
    # The id that only otel-ext adds, to the scope.
    process: object


class Event(NamedTuple):
    """A log record as it arrived; its ids are in hex."""

    name: str
    body: object
    severity: int
    severity_text: str
    time_ns: int
    trace_id: str
    span_id: str
    attributes: dict[str, object]
    resource: dict[str, object]
    scope: str


class Answer(NamedTuple):
    """The answer of a sink to a request."""

    status: int = 200
    body: bytes = b""
    retry_after: str = ""


def event_name_of(log: LogRecord) -> str:
    """Return the name of an event; OTLP before 1.5 has no field for it."""
    attributes = mapping_of(log.attributes)
    return str(getattr(log, "event_name", attributes.get("event.name", "")))


def value_of(value: AnyValue) -> object:
    """Convert a value of OTLP to Python."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return mapping_of(value.kvlist_value.values)
    return None if kind is None else cast("object", getattr(value, kind))


def mapping_of(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Return attributes as a dictionary."""
    return {pair.key: value_of(pair.value) for pair in pairs}


class Sink:
    """Receives OTLP/HTTP on a port of loopback and keeps what arrives.

    Args:
        tls: The context for TLS; None for plain HTTP.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.spans: list[Span] = []
        self.events: list[Event] = []
        self.requests: list[str] = []
        # By the last part of the path, with names in lower case.
        self.headers: dict[str, dict[str, str]] = {}
        self.answer = Answer()
        # Answers to one signal only, `traces` or `logs`.
        self.answers: dict[str, Answer] = {}
        # How many requests are accepted without an answer: the connection breaks.
        self.unanswered = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            """Gives every request the answer that the test has set."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Decode and keep the request."""
                body = self.rfile.read(int(self.headers["content-length"]))
                compression = self.headers.get("content-encoding")
                if compression in {"gzip", "deflate"}:
                    body = (gzip if compression == "gzip" else zlib).decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                signal = self.path.rsplit("/", 1)[1]
                sink.headers[signal] = headers
                sink.take(self.path, body)
                if sink.unanswered:
                    sink.unanswered -= 1
                    self.close_connection = True
                    return
                answer = sink.answers.get(signal, sink.answer)
                self.send_response(answer.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer.body)))
                if answer.retry_after:
                    self.send_header("retry-after", answer.retry_after)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base
                """Print nothing."""

        self._server = LoopbackServer(Handler, tls)
        self.port = self._server.port
        self.close = self._server.close

    def take(self, path: str, body: bytes) -> None:
        """Keep the records of a request."""
        self.requests.append(path)
        if path.endswith("traces"):
            self._take_spans(ExportTraceServiceRequest.FromString(body))
        else:
            self._take_events(ExportLogsServiceRequest.FromString(body))

    def _take_spans(self, request: ExportTraceServiceRequest) -> None:
        for of_resource in request.resource_spans:
            resource = mapping_of(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans += [
                    Span(
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        span.kind,
                        span.status.code,
                        mapping_of(span.attributes),
                        resource,
                        of_scope.scope.name,
                        [event.name for event in span.events],
                        [link.span_id.hex() for link in span.links],
                        mapping_of(of_scope.scope.attributes).get("otel_ext.process"),
                    )
                    for span in of_scope.spans
                ]

    def _take_events(self, request: ExportLogsServiceRequest) -> None:
        for of_resource in request.resource_logs:
            resource = mapping_of(of_resource.resource.attributes)
            for of_scope in of_resource.scope_logs:
                self.events += [
                    Event(
                        event_name_of(log),
                        value_of(log.body),
                        log.severity_number,
                        log.severity_text,
                        log.time_unix_nano,
                        log.trace_id.hex(),
                        log.span_id.hex(),
                        mapping_of(log.attributes),
                        resource,
                        of_scope.scope.name,
                    )
                    for log in of_scope.log_records
                ]

    def named(self, name: str) -> list[Span]:
        """Return the spans with a name."""
        return [span for span in self.spans if span.name == name]

    def of(self, name: str) -> list[Event]:
        """Return the events with a name."""
        return [event for event in self.events if event.name == name]

    def starts(self, span: str = "") -> list[Event]:
        """Return the start events, by default of all spans, else of those called `span`."""
        return [
            event
            for event in self.of("otel_ext.span.start")
            if span in {"", event.attributes["otel_ext.span.name"]}
        ]


class Collector:
    """A real collector, rotel, that forwards everything to a sink."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        self._folder = folder
        self._sink = sink
        self.grpc = free_port()
        self.http = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        # Not available for every Python and platform; fails where nothing may be skipped.
        package = pytest.importorskip("rotel")
        program = Path(package.__file__).parent / "rotel-agent"
        words = [
            *(program, "start", "--pid-file", self._folder / "rotel.pid"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{self.grpc}"),
            *("--otlp-http-endpoint", f"127.0.0.1:{self.http}"),
            *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
            *("--otlp-exporter-endpoint", f"http://127.0.0.1:{self._sink.port}"),
            *("--batch-timeout", "50ms"),
        ]
        with (self._folder / "rotel.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # It is linked against the libpython of its installation.
                env=environment(LD_LIBRARY_PATH=str(sysconfig.get_config_var("LIBDIR"))),
            )
        wait_until(
            lambda: is_listening(self.http) and is_listening(self.grpc), "the collector listens"
        )

    def kill(self) -> None:
        """Kill it; what it has not forwarded is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def settings(self, protocol: str, port: int = 0) -> dict[str, str]:
        """Return the variables that make an exporter send to it, or to another port."""
        port = port or (self.grpc if protocol == "grpc" else self.http)
        return {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        }


class Relay:
    """A proxy to a port of loopback that can be cut: requests in flight get no answer.

    A killed collector loses what it has accepted and not forwarded. If the proxy is cut
    before, the collector can forward all of it, so that no record may be missing.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._pairs: list[socket.socket] = []

    def open(self) -> None:
        """Accept connections."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and break the existing ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        pairs, self._pairs = self._pairs, []
        for one in pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError), listener:
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._pairs += [near, far]
                threading.Thread(target=_link, args=(near, far), daemon=True).start()


def _link(near: socket.socket, far: socket.socket) -> None:
    back = threading.Thread(target=_copy, args=(far, near), daemon=True)
    with near, far:
        back.start()
        _copy(near, far)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def collecting(folder: Path) -> Generator[tuple[Collector, Sink], None, None]:
    """Run a collector with a sink behind it."""
    sink = Sink()
    collector = Collector(folder, sink)
    try:
        collector.start()
        yield collector, sink
    finally:
        collector.kill()
        sink.close()


@contextmanager
def black_hole() -> Generator[int, None, None]:
    """Listen on a port of loopback and never answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])
