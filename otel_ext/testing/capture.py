"""Defines `RecordCapture`, an exporter that keeps its records for a test to check."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_ext.record.model import Record

__all__ = ["RecordCapture"]


class RecordCapture:
    """Keeps every exported record, in order.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from otel_ext.processors import LifecycleSpanProcessor
    >>> capture = RecordCapture()
    >>> provider = TracerProvider(shutdown_on_exit=False)
    >>> provider.add_span_processor(LifecycleSpanProcessor(capture))
    >>> with provider.get_tracer("shop").start_as_current_span("order"):
    ...     capture.events
    ['order.start']
    >>> capture.events
    ['order.start', 'order.end']
    >>> start, end = capture.of("order")
    >>> end.status.code, capture.open
    ('unset', [])
    """

    never_waits = True

    def __init__(self) -> None:
        self.records: list[Record] = []

    def export(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(record)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: no record waits."""
        return True

    def shutdown(self) -> None:
        """Do nothing: the records are kept."""

    @property
    def spans(self) -> list[Record]:
        """The records of spans."""
        return [record for record in list(self.records) if record.kind == "span"]

    @property
    def logs(self) -> list[Record]:
        """The records of logs."""
        return [record for record in list(self.records) if record.kind == "log"]

    @property
    def events(self) -> list[str]:
        """The `event` texts of the spans' records, such as `order.start`."""
        return [record.event for record in self.spans]

    @property
    def open(self) -> list[Record]:
        """The start records of spans without an end record."""
        spans = self.spans
        ended = {record.key for record in spans if record.phase == "end"}
        return [one for one in spans if one.phase == "start" and one.key not in ended]

    def of(self, name: str) -> tuple[Record, Record]:
        """Return the start and the end record of the only span called `name`.

        Raises:
            LookupError: There is no such span, more than one, or it is still open.
        """
        found = [record for record in self.spans if record.name == name]
        starts = [record for record in found if record.phase == "start"]
        ends = [record for record in found if record.phase == "end"]
        if len(starts) != 1 or len(ends) != 1:
            there = ", ".join(self.events) or "nothing"
            raise LookupError(
                f"{name!r} has {len(starts)} starts and {len(ends)} ends; recorded: {there}"
            )
        return starts[0], ends[0]

    def clear(self) -> None:
        """Discard the records."""
        self.records.clear()
