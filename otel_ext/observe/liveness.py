"""Decides whether a process runs, hangs or waits for its disk.

Only the worker thread stamps the ring buffer, and a write that blocks stops the worker. The
program itself goes on and still puts records into the ring buffer. So a missing stamp means
that the program hangs only if it made no record since then either.
"""

from __future__ import annotations

from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from otel_ext.journal.liveness import STALE_STAMP_NS, WORKER_LAG_NS, liveness_of
from otel_ext.runtime.process.incarnation import process_stat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_ext.journal.read.rings import RingContents
    from otel_ext.record.model import Process

__all__ = ["ClockReading", "Condition", "LivenessEvidence", "condition_of", "worker_silent_ns_at"]

Condition = Literal["alive", "blocked", "hung", "stopped", "dead", "silent"]
"""The condition of a process.

`blocked`: it runs, but its records do not reach the disk; `hung`: it lives, but nothing
shows that it runs; `stopped`: a signal or a debugger stopped it; `silent`: whether it
lives cannot be checked from here, and it has been silent for too long.
"""

# A stamp made while we read may be this much later than the time we took.
_MAX_AHEAD_NS: Final = 1_000_000_000


class LivenessEvidence(NamedTuple):
    """When a process last did something, by each source; 0 where that is unknown.

    Attributes:
        stamp_ns: When its worker stamped its ring buffer, nanoseconds since the epoch.
        steady_ns: The same by the monotonic clock, which is never set back.
        record_ns: The time of the newest record that waits in its ring buffer.
        seen_ns: Any other activity: its start, a heartbeat, a write to its file.
    """

    stamp_ns: int = 0
    steady_ns: int = 0
    record_ns: int = 0
    seen_ns: int = 0

    @classmethod
    def of_rings(cls, rings: Sequence[RingContents], now_ns: int) -> LivenessEvidence:
        """Return when a process was last active by all its ring buffers."""
        return cls(
            stamp_ns=max((ring.stamp_ns for ring in rings), default=0),
            steady_ns=max((ring.state.steady_ns for ring in rings if ring.state), default=0),
            record_ns=max((ring.newest_ns(now_ns) for ring in rings), default=0),
        )

    @property
    def newest_ns(self) -> int:
        """The latest of them by the wall clock."""
        return max(self.stamp_ns, self.record_ns, self.seen_ns)


class ClockReading(NamedTuple):
    """The time by the wall clock and by the monotonic clock, in nanoseconds."""

    wall_ns: int
    steady_ns: int

    @classmethod
    def now(cls) -> ClockReading:
        """Return the current time."""
        return cls(time_ns(), monotonic_ns())


def worker_silent_ns_at(evidence: LivenessEvidence, now: ClockReading) -> int | None:
    """Return for how long the worker has not stamped the ring buffer; None if that is unknown.

    In nanoseconds. A stamp from the future is ignored: the clock was set back since, or
    another machine's clock wrote it.

    >>> worker_silent_ns_at(LivenessEvidence(stamp_ns=5 * 10**9), ClockReading(7 * 10**9, 0))
    2000000000
    >>> worker_silent_ns_at(
    ...     LivenessEvidence(stamp_ns=99 * 10**9, steady_ns=10**9),
    ...     ClockReading(7 * 10**9, 5 * 10**9),
    ... )
    4000000000
    """
    return _youngest(
        [_age(evidence.steady_ns, now.steady_ns), _age(evidence.stamp_ns, now.wall_ns)]
    )


def condition_of(
    process: Process, evidence: LivenessEvidence, now: ClockReading, limit_seconds: float
) -> Condition:
    """Return the condition of a process.

    Args:
        process: Which process.
        evidence: When it was last active.
        now: The time, taken after the evidence was read.
        limit_seconds: For how long it may be silent; see `silence_limit`.
    """
    limit_ns = int(limit_seconds * 1e9)
    liveness = liveness_of(process)
    if liveness == "dead":
        return "dead"
    if liveness == "unknown":
        # On another machine, whose clock may be ahead of ours.
        return "silent" if now.wall_ns - evidence.newest_ns > limit_ns else "alive"
    if process_stat(process.pid)[:1] in ([b"T"], [b"t"]):  # by a signal, or by a debugger
        return "stopped"
    return _condition_of_living(evidence, now, limit_ns)


def _condition_of_living(evidence: LivenessEvidence, now: ClockReading, limit_ns: int) -> Condition:
    """Return the condition of a process that lives and is not stopped."""
    silence = worker_silent_ns_at(evidence, now)
    record_age = _age(evidence.record_ns, now.wall_ns)
    if silence is None:
        silence = _youngest([record_age, _age(evidence.seen_ns, now.wall_ns)])
        return "hung" if silence is None or silence > limit_ns else "alive"
    if silence <= STALE_STAMP_NS:
        return "alive"
    if record_age is None:
        return "hung"
    # A record so much later than the last stamp: the program ran, its worker did not.
    if silence - record_age > WORKER_LAG_NS:
        return "blocked"
    return "alive" if record_age <= STALE_STAMP_NS else "hung"


def _age(at_ns: int, now_ns: int) -> int | None:
    """Return how long ago a time was; None if it is unknown or in the future."""
    if not at_ns or at_ns > now_ns + _MAX_AHEAD_NS:
        return None
    return max(now_ns - at_ns, 0)


def _youngest(ages: Iterable[int | None]) -> int | None:
    return min((age for age in ages if age is not None), default=None)
