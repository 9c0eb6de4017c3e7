"""Providers and exporters for the tests of span processors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from otel_ext.processors import LifecycleSpanProcessor
from tests.exporters.samples import Noting

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SynchronousMultiSpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Tracer

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record


class Recorder(Noting):
    """Keeps records; tells the spans' own apart from what the process says of itself."""

    @property
    def events(self) -> list[str]:
        """The `event` texts of the spans' records, in order."""
        return [record.event for record in self.spans]

    @property
    def spans(self) -> list[Record]:
        """The records of spans, in order."""
        return [record for record in self.records if record.kind == "span"]

    def of(self, name: str) -> tuple[Record, Record]:
        """Return start and end of the one span called `name`."""
        start, end = (record for record in self.spans if record.name == name)
        assert (start.phase, end.phase) == ("start", "end")
        return start, end


def provider_with(
    exporter: RecordExporter,
    *,
    record_only: bool = False,
    sampler: Sampler | None = None,
    multi: SynchronousMultiSpanProcessor | ConcurrentMultiSpanProcessor | None = None,
) -> TracerProvider:
    """Return a provider with one lifecycle processor."""
    provider = TracerProvider(sampler=sampler, active_span_processor=multi, shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(exporter, record_only=record_only))
    return provider


def recording() -> tuple[Tracer, Recorder]:
    """Return a tracer and what records its spans."""
    recorder = Recorder()
    return provider_with(recorder).get_tracer("tests.scope", "1.2"), recorder
