"""`StoredTraces`: traces of a store in the form in which analyses and views take them."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from otel_ext.analysis.traces.forest import Forest, Observed
from otel_ext.errors import RecordError
from otel_ext.observe.process_names import ProcessName
from otel_ext.record.decode import decode_line
from otel_ext.record.model import META_KEY
from otel_ext.runtime.process.records import process_from
from otel_ext.store.queries import LogQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Process, Record
    from otel_ext.store.protocol import Store

__all__ = ["StoredTraces"]

_NOTHING = Observed()


@lru_cache(maxsize=4_096)
def _introduced(process_id: str, start: bytes) -> tuple[ProcessName, Process]:
    """Return what a process has written about itself; kept, since each question needs it."""
    meta: dict[str, object] = orjson.loads(start)[META_KEY] if start else {}
    return ProcessName.from_start(meta), process_from(process_id, meta)


class StoredTraces:
    """Reads traces of a store; it knows the processes of the moment in which it was made.

    Args:
        store: The store.
        observed: What was seen of processes that may still run.

    Attributes:
        processes: The name of each process, by its id.
        services: The service of each process that has one, by the process's id.
    """

    def __init__(self, store: Store, observed: Observed = _NOTHING) -> None:
        self._store = store
        self._observed = observed
        self._facts: dict[str, Process] = {}
        self.processes: dict[str, ProcessName] = {}
        for process in store.processes():
            facts = _introduced(process.id, process.start)
            self.processes[process.id], self._facts[process.id] = facts
        self.services = {name: one.service for name, one in self.processes.items() if one.service}

    def trees_of(self, trace_id: str) -> list[TraceTree]:
        """Return the tree of a trace; several if processes use its id for different ones."""
        stored = self._store.spans_of(trace_id)
        forest = Forest()
        for span in stored.spans:
            forest.add_span(span, is_opener=(span.span_id, span.process) in stored.openers)
        return list(forest.trees_of(trace_id, self._observed))

    def records_of(self, spans: Sequence[Span]) -> Mapping[SpanKey, Record]:
        """Return the whole records of some spans, by trace and span id."""
        lines = self._store.lines_of([span for span in spans if span.state != "missing"])
        found: dict[SpanKey, Record] = {}
        for (trace_id, span_id, _), line in lines.items():
            if (record := self._decoded(line)) is not None:
                found[trace_id, span_id] = record
        return found

    def logs_of(self, trace_id: str, process: str = "") -> list[Record]:
        """Return the logs and events of a trace, by time.

        Args:
            trace_id: Its id.
            process: Only those of this process, if others use the same id; empty for all.
        """
        logs = self._store.logs(LogQuery(trace_id=trace_id))
        found = (self._decoded(log.line) for log in logs if process in {"", log.process})
        records = [record for record in found if record is not None]
        return sorted(records, key=lambda record: (record.time_ns, record.seq))

    def _decoded(self, line: bytes) -> Record | None:
        with suppress(RecordError):
            record = decode_line(line)
            process = self._facts.get(record.process.id, record.process)
            return record._replace(process=process)
        return None
