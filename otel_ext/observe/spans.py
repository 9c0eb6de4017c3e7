"""An open span, as readers see it: its state, its age and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from otel_ext.observe.location import location_of

if TYPE_CHECKING:
    from otel_ext.observe.location import Location
    from otel_ext.observe.processes import RunningProcess
    from otel_ext.record.model import Record

__all__ = ["STATES", "ObservedSpan", "State", "observed_span"]

State = Literal["running", "stalled", "blocked", "hung", "lost"]
STATES: Final[tuple[State, ...]] = ("running", "stalled", "blocked", "hung", "lost")


class ObservedSpan(NamedTuple):
    """One span that has started and not ended.

    Attributes:
        record: Its start; its newest update if the start is gone.
        update: Its newest update, or None.
        process: The process that opened it.
        state: `stalled`: open for longer than its threshold; `blocked`: the disk of
            its process blocks; `hung`: its process does not run; `lost`: its process
            is gone.
        age_ns: For how long it has been open, nanoseconds; for a lost span, until its
            process was last active.
        location: Where it is in the code.
    """

    record: Record
    update: Record | None
    process: RunningProcess
    state: State
    age_ns: int
    location: Location

    @property
    def start_ns(self) -> int:
        """When it started, nanoseconds since the epoch."""
        return self.record.started_ns


def observed_span(
    record: Record, update: Record | None, process: RunningProcess, now_ns: int
) -> ObservedSpan:
    """Return what is known of an open span.

    Args:
        record: Its start record; its newest update if the start is lost.
        update: Its newest update.
        process: The process that opened it.
        now_ns: The time of the snapshot, nanoseconds since the epoch.
    """
    state: State = "running"
    if process.condition in {"dead", "silent"}:
        state = "lost"
    elif process.condition in {"hung", "stopped"}:
        state = "hung"
    elif process.condition == "blocked":
        # Before `stalled`: the watchdog waits for the disk too.
        state = "blocked"
    elif update is not None and update.extra.get("stalled") is True:
        state = "stalled"
    until_ns = process.last_seen_ns if state == "lost" else now_ns
    newest_ns = record.time_ns if update is None else update.time_ns
    age_ns = max(until_ns, min(newest_ns, now_ns)) - record.started_ns
    return ObservedSpan(record, update, process, state, max(age_ns, 0), location_of(record, update))
