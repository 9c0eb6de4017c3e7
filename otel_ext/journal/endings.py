"""The records that recovery writes for a process that cannot write them any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.journal.incarnations import base_id
from otel_ext.record.model import Process, Record, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_ext.journal.incarnations import IncarnationReader

__all__ = ["closing", "end_of"]


def _next_seq(reader: IncarnationReader, process: str) -> int:
    seq = reader.last_seqs.get(process, 0) + 1
    reader.last_seqs[process] = seq
    return seq


def end_of(
    start: Record, reader: IncarnationReader, last_seen_ns: int, facts: Mapping[str, object]
) -> Record:
    """Return the end record of a span that a dead process left open."""
    return start._replace(
        phase="end",
        time_ns=max(last_seen_ns, start.time_ns),
        seq=_next_seq(reader, start.process.id),
        start_ns=start.time_ns,
        status=Status("unset"),
        # A process that had no time to say it of all of them ended in order all the same.
        abandoned="shutdown" if reader.left_open else "process-died",
        extra=facts,
    )


def closing(
    process: Process,
    reader: IncarnationReader,
    last_seen_ns: int,
    facts: Mapping[str, object],
) -> Iterator[Record]:
    """Yield the end of the process, once for each id it went by."""
    for name in dict.fromkeys((process.id, *reader.last_seqs)):
        if base_id(name) == process.id:
            yield Record(
                kind="process",
                phase=None,
                name="process.end",
                time_ns=last_seen_ns,
                seq=_next_seq(reader, name),
                process=Process(name),
                extra=facts,
            )
