"""The encodings of records that are not final, by name.

========= ===================================================================
name      a start or update becomes
========= ===================================================================
events    a log record with the span's ids (`otel_ext.span.start`)
logfire   a start: an extra span, with another id, below the real one, with the
          attributes that Logfire's viewers know; an update: a log record
same-id   a span with its own id, without an end
========= ===================================================================

Logs, process records, and ends made up for spans that never ended (`abandoned`) are log
records in all encodings: the real end of such a span may still come, and a backend keeps
only one span of an id.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import Record

__all__ = ["ENCODINGS", "Encoding"]

_NO_PARENT: Final = "0" * 16


class Encoding(NamedTuple):
    """How the records of running spans are sent.

    Attributes:
        span_phases: The phases that are sent as spans; the rest are log records.
        as_span: Returns the record of the span to send for a start or an update.
    """

    span_phases: frozenset[str | None]
    as_span: Callable[[Record], Record]

    def sends_as_span(self, record: Record) -> bool:
        """Return whether `record` is sent as a span."""
        return record.phase in self.span_phases and record.abandoned is None


def _unchanged(record: Record) -> Record:
    return record


def _pending_span(record: Record) -> Record:
    """Return Logfire's pending span for a start.

    It has its own id and no duration. Its parent is the real span, whose parent is an
    attribute. The id is derived from the span's, so sending it again does not create
    another pending span.
    """
    pending = {
        "logfire.span_type": "pending_span",
        "logfire.pending_parent_id": record.parent_span_id or _NO_PARENT,
    }
    span_id = blake2b(f"{record.trace_id}{record.span_id}".encode(), digest_size=8).hexdigest()
    return record._replace(
        attributes={**record.attributes, **pending},
        span_id=span_id,
        parent_span_id=record.span_id,
        start_ns=record.time_ns,
    )


def _unfinished_span(record: Record) -> Record:
    """Return the span itself, without an end."""
    started = record.start_ns or record.time_ns
    if record.phase == "update":
        # An update has its own time, and the age of the span at that time.
        started = record.started_ns
    return record._replace(start_ns=started, time_ns=0)


ENCODINGS: Final = {
    "events": Encoding(frozenset({"end"}), _unchanged),
    "logfire": Encoding(frozenset({"start", "end"}), _pending_span),
    "same-id": Encoding(frozenset({"start", "update", "end"}), _unfinished_span),
}
"""The encodings by name."""
