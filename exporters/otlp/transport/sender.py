"""`Connection`: the stock OTLP exporters of one process, for spans and for log records.

Imported only if records are sent: the exporters and their imports take a tenth of a
second.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_ext.exporters.otlp.encoding.provisional import ENCODINGS
from otel_ext.exporters.otlp.encoding.spans import Origins, span_of
from otel_ext.protocols import SendResult
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_ext.exporters.otlp.encoding.events import LogEvent
    from otel_ext.exporters.otlp.encoding.provisional import Encoded
    from otel_ext.exporters.otlp.transport.logs import LogExporter
    from otel_ext.record.model import Record

__all__ = ["Answers", "Connection", "NoAnswers", "import_exporters"]

Made = TypeVar("Made")

_GRPC: Final = "grpc"
_MODULES: Final = {
    "grpc": "otel_ext.exporters.otlp.transport.grpc",
    "http/protobuf": "otel_ext.exporters.otlp.transport.http",
}
# Modules that they import with the first request.
_LATER: Final = {"grpc": ("grpc.experimental", "grpc._channel"), "http/protobuf": ("netrc",)}


class Answers(Protocol):
    """Remembers the answer of a receiver to the exporter of one signal.

    Attributes:
        repeated: Whether the last batch was sent again though it may have been accepted.
    """

    repeated: bool

    def reset(self) -> None:
        """Forget the last answer."""

    def result(self, *, ok: bool) -> SendResult:
        """Return the outcome of the last batch.

        Args:
            ok: Whether the exporter reports that it was accepted.
        """
        ...


class NoAnswers:
    """For exporters whose answers are not available."""

    repeated = False

    def reset(self) -> None:
        """Do nothing."""

    def result(self, *, ok: bool) -> SendResult:
        """Return what the exporter reports; a failure counts as temporary."""
        return SendResult(ok=ok, retry=not ok, message="" if ok else "the log has the reason")


class Connection:
    """Sends spans and log records; each of the two exporters is created at its first use.

    Args:
        encoding: The encoding of records that are not final.
        span_protocol: `grpc` or `http/protobuf`.
        log_protocol: Likewise.
    """

    def __init__(self, encoding: str, span_protocol: str, log_protocol: str) -> None:
        self._encoding = ENCODINGS[encoding]
        self._protocols = (span_protocol, log_protocol)
        self._origins = Origins()
        self._spans: tuple[SpanExporter, Answers] | None = None
        self._logs: tuple[LogExporter, Answers] | None = None
        self._sending: list[object] = []
        self._to_close: list[object] = []

    def spans_of(self, records: Sequence[Record]) -> list[ReadableSpan]:
        """Return final records as spans; leave out those that cannot be encoded."""
        origins = self._origins
        try:
            return [span_of(record, origins) for record in records]
        except Exception:  # noqa: BLE001 - found below, one by one
            return list(_each(records, lambda record: span_of(record, origins)))

    def encode(self, records: Sequence[Record]) -> list[Encoded]:
        """Encode other records; leave out those that cannot be encoded."""
        return list(_each(records, lambda record: self._encoding(record, self._origins)))

    def send_spans(self, spans: Sequence[ReadableSpan]) -> SendResult:
        """Send spans in one request."""
        if self._spans is None:
            self._spans = _make_span_exporter(self._protocols[0])
        exporter, answers = self._spans
        with self._under_way(exporter):
            return _export(
                answers, lambda: exporter.export(spans) is SpanExportResult.SUCCESS, len(spans)
            )

    def send_logs(self, logs: Sequence[LogEvent]) -> SendResult:
        """Send log records in one request."""
        if self._logs is None:
            try:
                self._logs = _make_log_exporter(self._protocols[1])
            except ImportError as error:
                message = f"this version of OpenTelemetry has its logs elsewhere: {error}"
                return SendResult(ok=False, message=message)
        exporter, answers = self._logs
        with self._under_way(exporter):
            return _export(answers, lambda: exporter.export(logs), len(logs))

    def close(self) -> None:
        """Close both exporters and abandon requests in flight.

        Closing an old exporter, one without answers, waits for its request, half a minute
        or longer. So the sending thread closes it after the request.
        """
        for made in (self._spans, self._logs):
            if made is None:
                continue
            exporter, answers = made
            if exporter in self._sending and isinstance(answers, NoAnswers):
                self._to_close.append(exporter)
            else:
                exporter.shutdown()

    @contextmanager
    def _under_way(self, exporter: SpanExporter | LogExporter) -> Generator[None]:
        self._sending.append(exporter)
        try:
            yield
        finally:
            self._sending.remove(exporter)
            if exporter in self._to_close:
                exporter.shutdown()


def _export(answers: Answers, export: Callable[[], bool], count: int) -> SendResult:
    answers.reset()
    try:
        ok = export()
    except OSError:  # raised by a session; exporters before 1.45 do not catch it
        ok = False
    result = answers.result(ok=ok)
    if answers.repeated:
        COUNTERS.add("remote.maybe_twice", count)
    return result


def _each(records: Sequence[Record], make: Callable[[Record], Made]) -> Iterator[Made]:
    for record in records:
        try:
            yield make(record)
        except Exception as error:  # noqa: BLE001 - the others must be sent
            COUNTERS.add("remote.not_encoded")
            report_problem("OTLP: a record is lost", error)


def import_exporters(span_protocol: str, log_protocol: str) -> None:
    """Import all that sending needs, before one of our threads needs it.

    A module that starts threads cannot be imported while the interpreter exits, which is
    when a short program sends its first batch. And if a process forks while a thread
    imports, its child waits for that import forever.

    Args:
        span_protocol: `grpc` or `http/protobuf`.
        log_protocol: Likewise.
    """
    for protocol, module in _MODULES.items():
        if protocol in (span_protocol, log_protocol):
            for name in (module, *_LATER[protocol]):
                import_module(name)
    with suppress(ImportError):  # reported when there is a log record to send
        from otel_ext.exporters.otlp.transport.logs import exporter_class  # noqa: PLC0415

        exporter_class(log_protocol)


def _make_span_exporter(protocol: str) -> tuple[SpanExporter, Answers]:
    if protocol == _GRPC:
        from otel_ext.exporters.otlp.transport import grpc  # noqa: PLC0415

        answers = grpc.GrpcAnswers() if grpc.accepts_retryable_codes() else None
        return grpc.make_span_exporter(answers), answers or NoAnswers()
    from otel_ext.exporters.otlp.transport.http import make_session, make_span_exporter  # noqa: PLC0415

    session = make_session("TRACES")
    return make_span_exporter(session), session or NoAnswers()


def _make_log_exporter(protocol: str) -> tuple[LogExporter, Answers]:
    # Imported apart, since its packages are not stable; without them spans are still sent.
    from otel_ext.exporters.otlp.transport.logs import make_log_exporter  # noqa: PLC0415

    if protocol == _GRPC:
        from otel_ext.exporters.otlp.transport.grpc import GrpcAnswers, accepts_retryable_codes  # noqa: PLC0415

        if not accepts_retryable_codes():
            return make_log_exporter(protocol), NoAnswers()
        answers = GrpcAnswers()
        return make_log_exporter(protocol, codes=answers.codes), answers
    from otel_ext.exporters.otlp.transport.http import make_session  # noqa: PLC0415

    session = make_session("LOGS")
    return make_log_exporter(protocol, session), session or NoAnswers()
