"""Makes the records that recovery writes on behalf of a dead process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.journal.read.incarnations import base_id
from otel_ext.record.model import Process, Record, Status
from otel_ext.runtime.process.records import PROCESS_END

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_ext.journal.read.incarnations import IncarnationReader

__all__ = ["process_ends", "span_end"]


def span_end(
    start: Record, reader: IncarnationReader, last_seen_ns: int, facts: Mapping[str, object]
) -> Record:
    """Return the end record of a span that a dead process left open."""
    return start._replace(
        phase="end",
        time_ns=max(last_seen_ns, start.time_ns),
        seq=reader.numbers.next_for(start.process.id),
        start_ns=start.time_ns,
        status=Status("unset"),
        # The process ended in order, but had no time to end all its spans.
        abandoned="shutdown" if reader.left_open else "process-died",
        extra=facts,
    )


def process_ends(
    process: Process, reader: IncarnationReader, last_seen_ns: int, facts: Mapping[str, object]
) -> Iterator[Record]:
    """Yield a `process.end` record for each process id of the incarnation."""
    for name in dict.fromkeys((process.id, *reader.processes)):
        if base_id(name) == process.id:
            yield Record(
                kind="process",
                phase=None,
                name=PROCESS_END,
                time_ns=last_seen_ns,
                seq=reader.numbers.next_for(name),
                process=Process(name),
                extra=facts,
            )
