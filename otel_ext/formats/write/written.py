"""`TraceToWrite`: one trace with its whole records, for any format."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.observe.process_names import ProcessName
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["RecordsWhenRead", "TraceToWrite"]


class TraceToWrite(NamedTuple):
    """What is known of one trace.

    Attributes:
        tree: The trace.
        times: Its times.
        records: The whole records of its spans, by key.
        processes: The name of each process, by its id.
    """

    tree: TraceTree
    times: Times
    records: Mapping[SpanKey, Record]
    processes: Mapping[str, ProcessName]

    def spans(self) -> Iterator[tuple[int, Span]]:
        """Yield the recorded spans with their numbers."""
        for number, span in enumerate(self.tree.spans):
            if span.state != "missing":
                yield number, span

    def attributes(self, span: Span) -> Mapping[str, object]:
        """Return the attributes of a span."""
        record = self.records.get(span.key)
        return {} if record is None else record.attributes

    def service(self, span: Span) -> str:
        """Return the service of a span; empty if it has none."""
        name = self.processes.get(span.process)
        return "" if name is None else name.service

    def label(self, span: Span) -> str:
        """Return the name of a span's process, or else its id."""
        name = self.processes.get(span.process)
        return span.process if name is None else name.label or span.process

    def track(self, span: Span) -> str:
        """Return the name of a span's task, or that of its thread, or else the thread's number.

        It is empty if neither is known.
        """
        _, thread, task, task_name = span.lineage
        if task:
            return task_name
        record = self.records.get(span.key)
        known = record.thread.name if record is not None and record.thread else ""
        return known or str(thread or "")


class RecordsWhenRead(Mapping["SpanKey", "Record"]):
    """Records that are read when the first one is asked for.

    Args:
        read: Returns the records.
    """

    def __init__(self, read: Callable[[], Mapping[SpanKey, Record]]) -> None:
        self._read = read

    @cached_property
    def _records(self) -> Mapping[SpanKey, Record]:
        return self._read()

    def __getitem__(self, key: SpanKey) -> Record:
        return self._records[key]

    def __iter__(self) -> Iterator[SpanKey]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)
