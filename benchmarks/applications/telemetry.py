"""The ways in which an application is traced while it is measured, and what each delivers."""

from __future__ import annotations

import os
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

import otel_ext
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.health import health

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["SENDING", "WAYS", "Arguments", "Delivered", "Telemetry", "undelivered"]

WAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none": "no OpenTelemetry",
        "stock": "OpenTelemetry + OTLP to a collector",
        "files": "otel-ext alone, writing files",
        "sending": "otel-ext, sending OTLP itself and writing files",
        "beside": "otel-ext writing files, beside OpenTelemetry + OTLP",
    }
)
"""By the name in programs, the name in tables."""
_WRITING: Final = frozenset({"files", "sending", "beside"})
"""The ways in which otel-ext writes each start and each end into a file."""
SENDING: Final = frozenset({"stock", "sending", "beside"})
"""The ways in which each span is sent to the collector, once."""
_STOCK: Final = frozenset({"stock", "beside"})
_SENT: Final = ("remote.sent_finals", "remote.sent_late", "remote.replayed")
_LOST: Final = (
    *("remote.full_finals", "remote.refused", "remote.not_encoded", "remote.not_sampled"),
    *("remote.persist_failed", "remote.persisted_evicted"),
)


class Arguments(NamedTuple):
    """The command line of a measured application.

    Attributes:
        way: One of `WAYS`.
        port: Where it serves.
        control: Where it answers questions, see `control`; it listens there once it is ready.
        folder: For its files; it does not exist yet.
        endpoint: The address of the collector.
    """

    way: str
    port: int
    control: int
    folder: str
    endpoint: str

    @classmethod
    def parse(cls) -> Arguments:
        """Return the command line of this process."""
        way, port, control, folder, endpoint = sys.argv[1:]
        return cls(way, int(port), int(control), folder, endpoint)


class Delivered(NamedTuple):
    """What a program has delivered since its start.

    Attributes:
        sent: Spans that the collector has accepted.
        written: Records in otel-ext's files.
        lost: Records that otel-ext has lost, by reason.
        ill: Parts of otel-ext that do not work as configured, and why.
    """

    sent: int
    written: int
    lost: dict[str, int]
    ill: list[str]

    def since(self, before: Delivered) -> Delivered:
        """Return what was sent and written since `before`; losses stay whole."""
        return self._replace(sent=self.sent - before.sent, written=self.written - before.written)


def undelivered(way: str, spans: int, delivered: Delivered) -> list[str]:
    """Say what has not arrived, and what is not well.

    Args:
        way: One of `WAYS`.
        spans: How many there were at least: the load generator may have made more of them than
            it has answers.
        delivered: What was delivered meanwhile.

    Returns:
        Sentences without a full stop; none if all is well.

    >>> undelivered("beside", 40, Delivered(40, 81, {}, []))
    []
    >>> undelivered("beside", 40, Delivered(39, 80, {"queue_full": 1}, []))
    ['1 records lost: queue_full', '39 of 40 spans reached the collector']
    """
    said = [f"{count} records lost: {reason}" for reason, count in delivered.lost.items()]
    if way in SENDING and delivered.sent < spans:
        said.append(f"{delivered.sent} of {spans} spans reached the collector")
    if way in _WRITING and delivered.written < 2 * spans:
        said.append(f"{delivered.written} of {2 * spans} starts and ends reached the files")
    return [*said, *delivered.ill]


class _CountingExporter(OTLPSpanExporter):
    """The stock exporter, which counts the spans that the collector accepts."""

    sent = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self.sent += len(spans)
        return result


class Telemetry:
    """The telemetry of this process, in one of the ways.

    The queries of SQLite are instrumented here, a framework by its own program.

    Args:
        arguments: Which way, and where to.
    """

    def __init__(self, arguments: Arguments) -> None:
        way = arguments.way
        self.is_on = way != "none"
        self._exporter: _CountingExporter | None = None
        self._provider: TracerProvider | None = None
        if not self.is_on:
            return
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = arguments.endpoint
        self._provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
        trace.set_tracer_provider(self._provider)
        if way in _STOCK:
            self._exporter = _CountingExporter()
            self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        if way in _WRITING:
            otel_ext.configure(output=arguments.folder, console="off", otlp=way == "sending")
        SQLite3Instrumentor().instrument()

    def flush(self) -> Delivered:
        """Deliver all that waits, and return what was delivered since the start.

        Raises:
            RuntimeError: Not everything could be delivered in half a minute.
        """
        if self._provider is not None and not self._provider.force_flush():
            raise RuntimeError("not everything was delivered")
        counts = COUNTERS.snapshot()
        stock = self._exporter.sent if self._exporter is not None else 0
        lost = {name: counts.get(name, 0) for name in _LOST} | COUNTERS.dropped()
        return Delivered(
            stock + sum(counts.get(name, 0) for name in _SENT),
            counts.get("written", 0),
            {name: count for name, count in lost.items() if count},
            [f"{one.name}: {one.detail}" for one in health().parts if one.state != "healthy"],
        )
