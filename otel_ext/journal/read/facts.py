"""What the records and ring buffers of an incarnation show of its process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.journal.liveness import WORKER_LAG_NS, identity_from_id, silence_limit
from otel_ext.record.model import EMPTY, Process
from otel_ext.runtime.process.records import dropped_in, process_from, whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.journal.read.rings import RingContents
    from otel_ext.record.model import Record

__all__ = ["IncarnationFacts", "estimate_last_seen_ns"]


class IncarnationFacts(NamedTuple):
    """What is known of an incarnation, by its own records, if found, and its ring buffers."""

    id: str
    start: Record | None
    heartbeat: Record | None
    rings: Sequence[RingContents]

    @property
    def process(self) -> Process:
        """Its process, by the source with the most facts."""
        for ring in self.rings:
            if ring.process is not None:
                return ring.process
        by_id = identity_from_id(self.id) or Process(self.id)
        recorded = self.recorded
        if not recorded.pid:
            return by_id
        recorded.boot_id = recorded.boot_id or by_id.boot_id
        return recorded

    @property
    def recorded(self) -> Process:
        """Its process as its `process.start` record describes it, if there is one."""
        return process_from(self.id, EMPTY if self.start is None else self.start.extra)

    @property
    def silence_limit(self) -> float:
        """Seconds of silence after which the process counts as dead or hung."""
        return silence_limit(self.recorded.heartbeat_ms, has_ring=bool(self.rings))

    @property
    def dropped(self) -> int:
        """How many of its records were dropped, as far as is known."""
        counts = [ring.state.dropped for ring in self.rings if ring.state is not None]
        return max([dropped_in(EMPTY if self.heartbeat is None else self.heartbeat.extra), *counts])

    @property
    def last_seq(self) -> int:
        """Number of its last record, as far as is known."""
        extra = EMPTY if self.heartbeat is None else self.heartbeat.extra
        return max([whole_number(extra.get("last_seq")), *(ring.last_seq for ring in self.rings)])


def estimate_last_seen_ns(record_ns: int, stamp_ns: int, file_ns: int, now_ns: int) -> int:
    """Return when a process was last alive; never a time in the future.

    It is the time of the last record, unless that is clearly later than the last stamp
    and the last write. All arguments are nanoseconds since the epoch.

    Args:
        record_ns: The time of its last record; 0 without one.
        stamp_ns: When its worker last stamped a ring buffer; 0 without one.
        file_ns: When one of its files was last written to; 0 if unknown.
        now_ns: The current time.

    >>> estimate_last_seen_ns(5_000_000_000, 4_000_000_000, 0, 9_000_000_000)
    5000000000
    """
    latest = max(stamp_ns, file_ns)
    if latest and record_ns > latest + WORKER_LAG_NS:
        record_ns = latest
    return min(max(record_ns, stamp_ns), now_ns)
