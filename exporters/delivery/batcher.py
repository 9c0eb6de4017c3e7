"""`Batcher`: puts records into batches, and leaves out starts that need not be sent.

Only the queue's thread uses it. A start waits for `grace` and is dropped if its end
arrives first, unless a record below its span is sent: then the starts of all ancestors
are sent too, so that no tree lacks a parent. Starts that were not queued come from the
tables of open spans.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain
from math import inf
from time import time_ns
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.exporters.delivery.open_starts import OpenStarts
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.records import process_end_record, process_start_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from otel_ext.exporters.delivery.queue import Item, PriorityQueue
    from otel_ext.protocols import SampleDecision
    from otel_ext.record.model import Process, Record

__all__ = ["Batch", "Batcher"]

_Key: TypeAlias = "tuple[str, str]"

_MAX_BYTES: Final = 2 * 1024 * 1024  # gRPC receivers accept 4 MiB at a time
_NO_SEQ: Final = 0


@dataclass
class Batch:
    """Records of one signal that are sent together: either final records, or events.

    Attributes:
        items: The records.
        is_final: Whether they are final records of spans.
        signal: The signal that carries them.
    """

    items: list[Item]
    is_final: bool
    signal: str = ""

    @property
    def records(self) -> list[Record]:
        """The records, without their sizes."""
        return [item[0] for item in self.items]


class _Ready:
    """The records of one signal that may be sent; provisional ones: the newest of each span."""

    def __init__(self) -> None:
        self.finals: deque[Item] = deque()
        self.logs: deque[Item] = deque()
        self.provisional: dict[_Key, Item] = {}


class Batcher:
    """Puts the records of one destination into batches.

    Args:
        queue: The source of the records; it is notified when one has been sent or dropped.
        grace: Seconds that a start waits for its end.
        decide: Returns whether the records of a span may be sent; None for "not known yet".
        is_wanted: Returns whether to send a record that the batcher itself adds.
        signals: The signals of the destination, the most important first.
        signal_of: Returns the signal of a record.
        open_starts: Where the starts are that were not queued.
    """

    def __init__(
        self,
        queue: PriorityQueue,
        grace: float,
        decide: SampleDecision | None,
        is_wanted: Callable[[Record], bool] = lambda _: True,
        signals: Sequence[str] = ("",),
        signal_of: Callable[[Record], str] = lambda _: "",
        open_starts: OpenStarts | None = None,
    ) -> None:
        self._queue = queue
        self._grace = grace
        self._decide = decide
        self._is_wanted = is_wanted
        self._ready = {signal: _Ready() for signal in signals}
        self._first = self._ready[signals[0]]
        self._signal_of = signal_of
        self._open_starts = open_starts or OpenStarts()
        # Starts within their grace, the oldest first, with the end of the grace.
        self._in_grace: dict[_Key, tuple[Item, float]] = {}
        self._undecided: list[Item] = []
        self._processes: dict[str, Process] = {}
        self._taken_at: float | None = None

    def __len__(self) -> int:
        ready = [
            len(one.finals) + len(one.logs) + len(one.provisional) for one in self._ready.values()
        ]
        return len(self._in_grace) + len(self._undecided) + sum(ready)

    @property
    def _may_have_starts(self) -> bool:
        """Whether starts may wait for their end."""
        return bool(self._in_grace) or self._open_starts.is_used

    def _ready_for(self, record: Record) -> _Ready:
        """Return where the records of the signal that carries `record` are."""
        if len(self._ready) == 1:
            return self._first
        try:
            return self._ready[self._signal_of(record)]
        except Exception as error:  # noqa: BLE001 - the sender may be the user's
            report_problem("sending: a record has no signal, so the first one is used", error)
            return self._first

    def take(self, now: float) -> None:
        """Take over all records of the queue.

        Args:
            now: By the monotonic clock.
        """
        provisional, finals, logs = self._queue.take()
        last_process: Process | None = None
        for item in chain(provisional, finals, logs):
            if item[0].process is not last_process:  # nearly all are of one process
                last_process = item[0].process
                self._note_process(last_process)
        # None of these records is older than the call before.
        oldest = now if self._taken_at is None else self._taken_at
        self._taken_at = now
        if self._undecided:
            again, self._undecided = self._undecided, []
            # A full grace from now: they have waited already, so the end may be near.
            waited = [item for item in again if item[0].provisional]
            self._take_provisional(self._sampled(waited), now, now)
            others = [item for item in again if not item[0].provisional]
            finals = [item for item in others if item[0].is_real_end] + finals
            logs = [item for item in others if not item[0].is_real_end] + logs
        self._take_provisional(self._sampled(provisional), oldest, now)
        # Logs before finals: an end then drops the start that a log of its span made ready.
        finals = list(self._sampled(finals))
        self._take_logs(self._sampled(logs))
        self._take_finals(finals, now)

    # These two run for each span, so they are written without further calls.

    def _take_provisional(self, items: Iterable[Item], oldest: float, now: float) -> None:
        """Take over starts and updates; the grace of a start begins at its own time.

        The program may set that time, so it is limited to the period since the last call.
        """
        in_grace = self._in_grace
        grace, shift = self._grace, now - time_ns() / 1e9
        for item in items:
            record = item[0]
            key = (record.trace_id, record.span_id)
            if record.phase == "start":
                started_at = record.time_ns / 1e9 + shift
                in_grace[key] = (item, min(max(started_at, oldest), now) + grace)
            else:
                self._drop_waiting(key)  # an update contains all of the start
                self._open_starts.leave_out(record)
                self._make_ready(item)

    def _take_finals(self, items: Iterable[Item], now: float) -> None:
        in_grace, ready = self._in_grace, list(self._ready.values())
        grace_ns = self._grace * 1e9 if self._open_starts.is_used else inf
        gone: list[Item] = []
        overtaken = 0
        for item in items:
            record = item[0]
            key = (record.trace_id, record.span_id)
            start = in_grace.pop(key, None)
            if start is not None:
                gone.append(start[0])
                overtaken += start[1] <= now
            else:
                waiting = [one for one in ready if one.provisional and key in one.provisional]
                gone += [one.provisional.pop(key) for one in waiting]
                if waiting or (
                    record.time_ns - record.start_ns > grace_ns and self._was_due(record)
                ):
                    overtaken += 1
            self._ready_for(record).finals.append(item)
        if overtaken:
            COUNTERS.add("remote.overtaken_starts", overtaken)
        self._queue.provisional.release(gone)

    def _was_due(self, end: Record) -> bool:
        """Return whether the start of a long span should have been taken, and was not."""
        return not self._open_starts.was_taken(end) and self._is_wanted(end._replace(phase="start"))

    def _take_logs(self, items: Iterable[Item]) -> None:
        """Take over logs; the starts of the spans around them become ready."""
        for item in items:
            record = item[0]
            if record.phase == "end":
                self._drop_waiting(record.key)  # a made-up end contains all of the start
                self._promote(record.trace_id, record.parent_span_id)
            elif record.span_id and self._may_have_starts:
                self._promote(record.trace_id, record.span_id)
            self._ready_for(record).logs.append(item)

    def _drop_waiting(self, key: _Key) -> None:
        """Drop the waiting record of a span; a newer one replaces it."""
        waiting = self._in_grace.pop(key, None)
        if waiting is not None:
            self._queue.provisional.release([waiting[0]])
        for one in self._ready.values():
            ready = one.provisional.pop(key, None)
            if ready is not None:
                self._queue.provisional.release([ready])

    def _sampled(self, items: list[Item]) -> Iterable[Item]:
        """Return the items that may be sent; keep those that are undecided."""
        decide = self._decide
        if decide is None:
            return items
        # A record without a span needs no decision.
        return [item for item in items if not item[0].span_id or self._is_sampled(item, decide)]

    def _is_sampled(self, item: Item, decide: SampleDecision) -> bool:
        try:
            decision = decide(item[0])
        except Exception as error:  # noqa: BLE001 - the hook is the user's code
            report_problem("sampling: a record is not sent", error)
            decision = False
        if decision is None:
            self._undecided.append(item)
        elif not decision:
            COUNTERS.add("remote.not_sampled")
            self._queue.priority_of(item[0]).release([item])
        return bool(decision)

    def _note_process(self, process: Process) -> None:
        """Add the start record of a new process: other records have only its id."""
        if process.id not in self._processes:
            self._processes[process.id] = process
            self._add_own(process_start_record(process, _NO_SEQ))

    def add_process_ends(self) -> None:
        """Add the records of the orderly end of all known processes."""
        for process in self._processes.values():
            self._add_own(process_end_record(process, _NO_SEQ))

    def _add_own(self, record: Record) -> None:
        """Add a record that did not come through the queue, so it takes no space there."""
        if not self._is_wanted(record):
            return
        self._queue.logs.held += 1
        self._ready_for(record).logs.append((record, 0))

    def next_finals(self, limit: int, signal: str = "") -> Batch:
        """Return the next batch of final records; the starts of their ancestors become ready.

        Args:
            limit: The maximum number of records.
            signal: Their signal.
        """
        taken = _take(self._ready[signal].finals, limit)
        if self._may_have_starts:
            for record, _ in taken:
                self._promote(record.trace_id, record.parent_span_id)
        return Batch(taken, is_final=True, signal=signal)

    def drop_sent_elsewhere(self, batch: Batch) -> None:
        """Drop a batch of final records that another exporter sends."""
        COUNTERS.add("remote.left_to_others", len(batch.items))
        self._queue.finals.release(batch.items)

    def next_events(self, limit: int, now: float, signal: str = "") -> Batch:
        """Return the next batch of logs, updates, and starts whose grace is over.

        Args:
            limit: The maximum number of records.
            now: By the monotonic clock; infinity ends the grace of every start.
            signal: Their signal.
        """
        self._end_grace(now)
        ready = self._ready[signal]
        taken = _take(ready.logs, limit)
        room = limit - len(taken)
        size = sum(item[1] for item in taken)
        for key in list(ready.provisional)[:room]:
            size += ready.provisional[key][1]
            if taken and size > _MAX_BYTES:
                break
            taken.append(ready.provisional.pop(key))
        return Batch(taken, is_final=False, signal=signal)

    def _end_grace(self, now: float) -> None:
        due: list[_Key] = []
        for key, (_, until) in self._in_grace.items():
            if until > now:
                break  # the remaining ones are newer
            due.append(key)
        for key in due:
            waiting = self._in_grace.pop(key, None)  # None: promoted by an earlier one
            if waiting is not None:
                self._make_ready(waiting[0])
        if self._open_starts.is_used:
            born_before = (now - self._grace) * 1e9
            starts = self._open_starts.due(born_before, self._queue.provisional)
            for item in self._allowed(starts):
                self._make_ready(item)

    def _make_ready(self, item: Item) -> None:
        """Make a start or an update ready, the starts of its ancestors before it."""
        record = item[0]
        self._promote(record.trace_id, record.parent_span_id)
        self._ready_for(record).provisional[record.key] = item

    def _promote(self, trace_id: str, span_id: str) -> None:
        """Make the starts of a span and its ancestors ready, the topmost first."""
        ancestors: list[tuple[_Key, Item]] = []
        while span_id:
            key = (trace_id, span_id)
            waiting = self._in_grace.pop(key, None)
            item = self._open_start(trace_id, span_id) if waiting is None else waiting[0]
            if item is None:
                break  # sent, ended, or of another process; so are its ancestors
            ancestors.append((key, item))
            span_id = item[0].parent_span_id
        for key, item in reversed(ancestors):
            self._ready_for(item[0]).provisional[key] = item

    def _open_start(self, trace_id: str, span_id: str) -> Item | None:
        """Take the start of an open span that was neither queued nor sent."""
        item = self._open_starts.take(trace_id, span_id, self._queue.provisional)
        return None if item is None else next(iter(self._allowed([item])), None)

    def _allowed(self, starts: list[Item]) -> list[Item]:
        """Return those of the starts, which were not queued, that may be sent."""
        for record, _ in starts:
            self._note_process(record.process)
        allowed = list(self._sampled(starts))
        if not_wanted := [item for item in allowed if not self._is_wanted(item[0])]:
            self._queue.provisional.release(not_wanted)
            return [item for item in allowed if item not in not_wanted]
        return allowed

    def put_back(self, batch: Batch) -> None:
        """Take back a batch that failed, for a retry."""
        ready = self._ready[batch.signal]
        if batch.is_final:
            ready.finals.extendleft(reversed(batch.items))
            return
        for item in reversed(batch.items):
            if not item[0].provisional:
                ready.logs.appendleft(item)
            elif ready.provisional.setdefault(item[0].key, item) is not item:
                self._queue.provisional.release([item])  # a newer one has come meanwhile

    def done(self, batch: Batch) -> None:
        """Release a batch that was sent or given up."""
        if batch.is_final:
            self._queue.finals.release(batch.items)
            return
        provisional = [item for item in batch.items if item[0].provisional]
        self._queue.provisional.release(provisional)
        self._queue.logs.release([item for item in batch.items if not item[0].provisional])

    def finals_waiting(self, signal: str = "") -> int:
        """Return how many final records of a signal wait."""
        return len(self._ready[signal].finals)

    def has_ready(self, signal: str) -> bool:
        """Return whether a batch of a signal could be sent now."""
        return self.finals_waiting(signal) > 0 or self.events_waiting(signal)

    def events_waiting(self, signal: str = "") -> bool:
        """Return whether there is an event of a signal that could be sent now."""
        ready = self._ready[signal]
        return bool(ready.logs or ready.provisional)


def _take(items: deque[Item], limit: int) -> list[Item]:
    """Take up to `limit` items from the left, within the byte limit of a batch."""
    taken: list[Item] = []
    size = 0
    while items and len(taken) < limit:
        size += items[0][1]
        if taken and size > _MAX_BYTES:
            break
        taken.append(items.popleft())
    return taken
