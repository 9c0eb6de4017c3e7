"""`StoredTraces`: traces of a store in the form in which analyses and views take them."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import orjson

from otel_ext.analysis.traces.forest import Forest, Observed
from otel_ext.errors import RecordError
from otel_ext.observe.process_names import ProcessName
from otel_ext.record.decode import decode_attributes, decode_line
from otel_ext.record.model import META_KEY
from otel_ext.runtime.process.records import process_from
from otel_ext.store.queries import LogQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Process, Record
    from otel_ext.store.protocol import Store

__all__ = ["StoredTraces"]

_NOTHING = Observed()


@lru_cache(maxsize=4_096)
def _introduced(process_id: str, start: bytes) -> tuple[ProcessName, Process]:
    """Return what a process has written about itself; kept, since most questions need it."""
    meta: dict[str, object] = orjson.loads(start)[META_KEY] if start else {}
    return ProcessName.from_start(meta), process_from(process_id, meta)


class StoredTraces:
    """Reads traces of a store, and its processes once, when they are first needed.

    There may be thousands of processes, and a list of traces without a search needs none.

    Args:
        store: The store.
        observed: What was seen of processes that may still run.
    """

    def __init__(self, store: Store, observed: Observed = _NOTHING) -> None:
        self._store = store
        self._observed = observed

    @cached_property
    def _known(self) -> dict[str, tuple[ProcessName, Process]]:
        return {one.id: _introduced(one.id, one.start) for one in self._store.processes()}

    @cached_property
    def processes(self) -> dict[str, ProcessName]:
        """The name of each process, by its id."""
        return {process_id: name for process_id, (name, _) in self._known.items()}

    @property
    def services(self) -> dict[str, str]:
        """The service of each process that has one, by the process's id."""
        return self._services

    @cached_property
    def _services(self) -> dict[str, str]:
        names = self.processes.items()
        return {process_id: name.service for process_id, name in names if name.service}

    def trees_of(self, trace_id: str) -> list[TraceTree]:
        """Return the tree of a trace; several if processes use its id for different ones."""
        stored = self._store.spans_of(trace_id)
        forest = Forest()
        for span in stored.spans:
            forest.add_span(span, is_opener=(span.span_id, span.process) in stored.openers)
        return list(forest.trees_of(trace_id, self._observed))

    def records_of(self, spans: Sequence[Span]) -> Mapping[SpanKey, Record]:
        """Return the whole records of some spans, by trace and span id."""
        found: dict[SpanKey, Record] = {}
        for key, line in self._lines_of(spans):
            if (record := self._decoded(line)) is not None:
                found[key] = record
        return found

    def attributes_of(self, spans: Sequence[Span]) -> Mapping[SpanKey, Mapping[str, object]]:
        """Return the attributes of some spans, by trace and span id."""
        found: dict[SpanKey, Mapping[str, object]] = {}
        for key, line in self._lines_of(spans):
            with suppress(RecordError):
                found[key] = decode_attributes(line)
        return found

    def _lines_of(self, spans: Sequence[Span]) -> Iterator[tuple[SpanKey, bytes]]:
        lines = self._store.lines_of([span for span in spans if span.state != "missing"])
        for (trace_id, span_id, _), line in lines.items():
            yield (trace_id, span_id), line

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
            known = self._known.get(record.process.id)
            return record if known is None else record._replace(process=known[1])
        return None
