"""Reports spans that are open for too long, each with its current stack.

One `.update` record at the threshold, the next at twice that age, then four
times, and so on: a span that hangs for a day costs a dozen records.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from itertools import islice
from math import inf
from time import monotonic_ns, time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from otel_ext.inflight.owners import TaskOwner
from otel_ext.inflight.settings import InflightSettings
from otel_ext.inflight.stacks import (
    runs_on,
    stack_of_coroutine,
    stack_of_thread,
    thread_frames,
)
from otel_ext.record.model import EMPTY
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from otel_ext.inflight.table import Entry, InflightTable, Key
    from otel_ext.record.model import Record

__all__ = ["WATCHDOG_INTERVAL", "Watchdog"]

WATCHDOG_INTERVAL: Final = 0.5
"""Seconds between two runs."""

_MAX_NAMES: Final = 4_096
_MAX_AT_ONCE: Final = 500


class Watchdog:
    """Finds stalled spans of one table and emits an update with the stack of each.

    Args:
        table: The open spans.
        emit: Called with each record, without any lock held.
        threshold: Seconds after which a span counts as stalled; 0 means never.
        thresholds: Other thresholds by pattern of the name (`db.*`); the first match
            counts, and case matters.
    """

    def __init__(
        self,
        table: InflightTable,
        emit: Callable[[Record], None],
        *,
        threshold: float = InflightSettings.stall_after,
        thresholds: Mapping[str, float] = EMPTY,  # type: ignore[assignment]
    ) -> None:
        self._table = table
        self._emit = emit
        self._default = _nanoseconds(threshold)
        self._patterns = [(pattern, _nanoseconds(limit)) for pattern, limit in thresholds.items()]
        self._smallest = min([self._default, *(limit for _, limit in self._patterns)])
        self._by_name: dict[str, float] = {}

    def run(self) -> None:
        """Find and report stalled spans; the worker runs it every `WATCHDOG_INTERVAL`."""
        stalled = self._table.stalled
        for key in [key for key in stalled if self._table.get(key) is None]:
            stalled.pop(key, None)
        now = monotonic_ns()
        due: list[tuple[Key, Entry, int]] = []
        for key, entry in self._table.entries():
            age = now - entry.born
            if age < self._smallest or len(due) >= _MAX_AT_ONCE:
                break  # the others are younger, or wait for the next run
            if age >= stalled.get(key, 0) and age >= self.threshold_of(entry.name):
                stalled[key] = age * 2
                due.append((key, entry, age))
        if due:
            self._emit_updates(due)

    def dump(self, limit: int | None = None) -> int:
        """Emit an update for every open span, stalled or not, with its stack.

        Args:
            limit: At most this many spans, the oldest first; None for all.

        Returns:
            The number of updates.
        """
        now = monotonic_ns()
        oldest = islice(self._table.entries(), limit)
        opened = [(key, entry, now - entry.born) for key, entry in oldest]
        return self._emit_updates(opened)

    def threshold_of(self, name: str) -> float:
        """Return the age in nanoseconds at which a span of this name is stalled."""
        known = self._by_name.get(name)
        if known is None:
            known = next(
                (limit for pattern, limit in self._patterns if fnmatchcase(name, pattern)),
                self._default,
            )
            if len(self._by_name) >= _MAX_NAMES:
                self._by_name.clear()
            self._by_name[name] = known
        return known

    def _emit_updates(self, spans: list[tuple[Key, Entry, int]]) -> int:
        """Emit an update for each span that is still open; return how many."""
        frames = thread_frames()
        stacks: list[tuple[Key, Entry, int, list[dict[str, object]]]] = []
        for key, entry, age in spans:
            stacks.append((key, entry, age, _stack_of(entry, frames)))
        # Before anything else runs: a frame keeps its local variables alive.
        frames.clear()
        # A span with an abandoned end is over for readers: an update would open it again.
        reported = self._table.reported
        still_open = [
            one for one in stacks if self._table.get(one[0]) is one[1] and one[0] not in reported
        ]
        for key, entry, age, stack in still_open:
            self._emit(_update(entry, age, stack, stalled=key in self._table.stalled))
        return len(still_open)


def _update(entry: Entry, age: int, stack: list[dict[str, object]], *, stalled: bool) -> Record:
    extra: dict[str, object] = {"stalled": True} if stalled else {}
    extra["age_ns"] = age
    if stack:
        extra["stack"] = stack
    return entry.record._replace(
        phase="update",
        time_ns=time_ns(),
        seq=incarnation.current().next_seq(),
        extra=MappingProxyType(extra),
    )


def _nanoseconds(seconds: float) -> float:
    return seconds * 1e9 if seconds > 0 else inf


def _stack_of(entry: Entry, frames: Mapping[int, FrameType]) -> list[dict[str, object]]:
    thread = entry.record.thread
    frame = None if thread is None else frames.get(thread.id)
    owner = entry.owner
    if not isinstance(owner, TaskOwner):
        # Another thread may have the identifier of a dead one.
        return stack_of_thread(frame) if owner() is not None else []
    task = owner()
    if task is None:
        return []
    try:
        coroutine: object = sys.modules["asyncio"].Task.get_coro(task)
    except TypeError:  # a task of another library
        return []
    # A running task is on the stack of its loop's thread, which opened the span.
    return stack_of_thread(frame) if runs_on(coroutine, frame) else stack_of_coroutine(coroutine)
