"""`TraceBuffer`: holds the records of one trace that this process makes, up to a limit."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.listeners import LISTENERS

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_ext.record.model import Record

__all__ = ["TraceBuffer"]

# The buffer whose trace begins with the next root span in this context.
_beginning: Final[ContextVar[TraceBuffer | None]] = ContextVar(
    "otel_ext_trace_buffer", default=None
)
# Those that are open, and by the id of their trace those that have begun.
_known: Final[set[TraceBuffer]] = set()
_buffers: Final[dict[str, TraceBuffer]] = {}


class TraceBuffer:
    """The records of one trace, in the order in which they were made.

    Args:
        max_records: How many it holds. When it is full, the end of a span replaces its start
            record; other records are dropped and counted.

    Attributes:
        trace_id: 32 lower-case hex digits; empty before the first record.
        dropped: How many records did not fit.
    """

    def __init__(self, max_records: int) -> None:
        self.trace_id = ""
        self.dropped = 0
        self._max_records = max_records
        self._records: list[Record] = []
        # Where the start records are, by span id.
        self._starts: dict[str, int] = {}

    @contextmanager
    def beginning(self) -> Generator[None]:
        """Take the root span that starts within this block as the trace's first."""
        _known.add(self)
        LISTENERS.add(_hear)
        token = _beginning.set(self)
        try:
            yield
        finally:
            _beginning.reset(token)

    def belong_to(self, trace_id: str) -> None:
        """Take the records of a trace, if the start record of its root has not come."""
        if not self.trace_id:
            self.trace_id = trace_id
            _buffers[trace_id] = self

    def end(self) -> None:
        """Accept no more records."""
        _buffers.pop(self.trace_id, None)
        _known.discard(self)
        if not _known:
            LISTENERS.remove(_hear)
            if _known:  # another thread has begun one meanwhile
                LISTENERS.add(_hear)

    def records(self) -> tuple[Record, ...]:
        """Return the records so far."""
        return tuple(self._records)

    def add(self, record: Record) -> None:
        """Add a record of this trace."""
        records = self._records
        if len(records) < self._max_records:
            at = len(records)
            records.append(record)
            if record.phase == "start" and records[at] is record:  # no other thread between
                self._starts[record.span_id] = at
            return
        start = self._starts.pop(record.span_id, None) if record.phase == "end" else None
        self.dropped += 1
        if start is not None:
            records[start] = record


def _hear(record: Record) -> None:
    trace_id = record.trace_id
    if not trace_id:
        return
    buffer = _buffers.get(trace_id)
    if buffer is None:
        buffer = _beginning.get()
        if buffer is None or buffer.trace_id or record.phase != "start" or record.parent_span_id:
            return
        buffer.trace_id = trace_id
        _buffers[trace_id] = buffer
    buffer.add(record)
