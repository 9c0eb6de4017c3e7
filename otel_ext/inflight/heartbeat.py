"""Emits a heartbeat record with the counters of the process every few seconds.

Readers use it to decide whether a process that they cannot check directly is alive
(three missed beats), and to verify that accepted = written + dropped.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.counters import BUFFER_PEAK, COUNTERS
from otel_ext.runtime.process import incarnation
from otel_ext.runtime.process.records import PROCESS_HEARTBEAT, process_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import Record

__all__ = ["Heartbeat", "memory_bytes"]

_STATM: Final = "/proc/self/statm"


def memory_bytes() -> int:
    """Return the resident set size of this process in bytes; 0 if it is unknown.

    It is the second field of `/proc/PID/statm`, proc(5).
    """
    try:
        with open(_STATM, "rb") as file:  # noqa: PTH123 - every five seconds, kept light
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _always() -> bool:
    return True


class Heartbeat:
    """Emits the process's heartbeat record.

    Args:
        emit: Takes the record.
        count_open: Returns how many spans are open.
        is_wanted: Called before each beat: whether this object sends the heartbeat of its
            destination.
    """

    def __init__(
        self,
        emit: Callable[[Record], None],
        count_open: Callable[[], int],
        is_wanted: Callable[[], bool] = _always,
    ) -> None:
        self._emit = emit
        self._count_open = count_open
        self._is_wanted = is_wanted

    def run(self) -> None:
        """Emit one beat if it is wanted; the worker's job, every `heartbeat-interval`."""
        if self._is_wanted():
            self._emit(self.make_record())

    def make_record(self) -> Record:
        """Return the record of one beat."""
        current = incarnation.current()
        facts: dict[str, object] = {
            "open_spans": self._count_open(),
            "last_seq": current.last_seq,
            "accepted": COUNTERS.value("accepted"),
            "written": COUNTERS.value("written"),
            "dropped": COUNTERS.dropped(),
            "buffer_peak": COUNTERS.value(BUFFER_PEAK),
            "memory_bytes": memory_bytes(),
        }
        process = current.process_for(None)
        return process_record(PROCESS_HEARTBEAT, process, current.next_seq(), facts)
