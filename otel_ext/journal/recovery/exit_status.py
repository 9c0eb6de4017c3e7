"""Finds out how a dead process ended: its signal or its exit status."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from otel_ext.journal.liveness import is_this_boot, zombie_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Process

__all__ = ["Outcome", "PidAndStart", "find_outcome"]

PidAndStart: TypeAlias = tuple[int, int]
"""Identifies a process of this boot: its pid, and its start time in clock ticks."""


class Outcome(NamedTuple):
    """How a process ended.

    Attributes:
        signal: Number of the signal that ended it; 0 if none is known.
        exit_status: Its exit status; None if unknown or ended by a signal.
        seen_ns: When its parent noticed the end, nanoseconds since the epoch; 0 if unknown.

    >>> Outcome(signal=9).as_extra()
    {'signal': 'SIGKILL'}
    >>> Outcome(exit_status=3).as_extra(), Outcome().as_extra()
    ({'exit_status': 3}, {})
    """

    signal: int = 0
    exit_status: int | None = None
    seen_ns: int = 0

    @classmethod
    def of(cls, code: int, seen_ns: int = 0) -> Outcome:
        """Return the outcome for an exit code, or minus the number of a signal."""
        return cls(-code, None, seen_ns) if code < 0 else cls(0, code, seen_ns)

    def as_extra(self) -> dict[str, object]:
        """Return the outcome as metadata of a record; empty if nothing is known."""
        if self.signal:
            try:
                return {"signal": signal.Signals(self.signal).name}
            except ValueError:
                return {"signal": f"SIG{self.signal}"}
        return {} if self.exit_status is None else {"exit_status": self.exit_status}


def find_outcome(outcomes: Mapping[PidAndStart, Outcome], process: Process) -> Outcome:
    """Return how a process ended according to its parent, or as a zombie; else an empty outcome.

    A process of another boot may have had the same pid and start time.
    """
    is_other_boot = process.boot_id and not is_this_boot(process.boot_id)
    known = None if is_other_boot else outcomes.get((process.pid, process.start_time))
    if known is not None:
        return known
    status = zombie_status(process)  # None if its parent has waited for it
    return Outcome() if status is None else Outcome.of(os.waitstatus_to_exitcode(status))
