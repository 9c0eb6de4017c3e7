"""Isolates third-party exporters, so that one that hangs does not block the program.

Python cannot end a call that hangs. So a third-party `export` runs on a thread of its
own, and the caller waits for it up to a timeout: records arrive in order and at once,
and exceptions reach the caller. After a timeout callers do not wait for that exporter
until it has caught up; meanwhile records wait in a bounded queue.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextvars import copy_context
from threading import get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.bounded_calls import BoundedCalls
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.threads import WakeEvent, new_lock, start_thread

if TYPE_CHECKING:
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["IsolatedExporter", "isolate"]

_TIMEOUT: Final = 0.5
_MAX_WAITING: Final = 10_000
_SHUTDOWN_SECONDS: Final = 1.5
# How often the thread checks whether its exporter still exists, in seconds.
_CHECK_INTERVAL: Final = 5.0
_POLL: Final = 0.002


class _Item:
    """One queued record and the outcome of its export."""

    __slots__ = ("context", "done", "error", "is_left", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.context = copy_context()
        self.done = new_lock()
        self.done.acquire()
        self.error: BaseException | None = None
        self.is_left = False


class _ThreadState:
    """One export thread and its queue; a forked child gets a new one."""

    __slots__ = ("is_late", "starting", "stopping", "thread_id", "waiting", "wake_event", "working")

    def __init__(self) -> None:
        self.waiting: deque[_Item] = deque()
        self.working = False
        self.is_late = False
        self.stopping = False
        self.thread_id = 0
        # Held from the start of the thread to its end.
        self.starting = new_lock()
        self.wake_event = WakeEvent()

    def stop(self) -> None:
        """Ask the thread to end after the queued records; does not wait."""
        self.stopping = True
        self.wake_event.set()

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.working


class IsolatedExporter:
    """Calls `inner` on a thread of its own, and waits for it up to a timeout.

    Args:
        inner: An exporter whose `export` may hang.
        timeout: Seconds that a caller waits for one `export`.

    >>> from otel_ext.record.model import Process, Record
    >>> from otel_ext.testing import RecordCapture
    >>> capture = RecordCapture()
    >>> exporter = IsolatedExporter(capture)
    >>> exporter.export(Record("event", None, "deployed", 0, 1, Process("p")))
    >>> [record.event for record in capture.records]
    ['deployed']
    """

    never_waits = True

    def __init__(self, inner: RecordExporter, *, timeout: float = _TIMEOUT) -> None:
        self.inner = inner
        self.never_starts_spans = getattr(inner, "never_starts_spans", False) is True
        self._name = type(inner).__name__
        self._timeout = timeout
        self._calls = BoundedCalls(self._name)
        self._closed = False
        self._reset()
        after_fork_in_child(self._reset)

    def export(self, record: Record) -> None:
        """Export one record; what `inner` raises before the timeout is raised here."""
        if self._closed:
            COUNTERS.add("exporter.closed")
            return
        state = self._state
        if state.thread_id == get_ident():
            self.inner.export(record)  # of a span that `inner` itself starts
            return
        if len(state.waiting) >= _MAX_WAITING:
            COUNTERS.add("accepted")
            COUNTERS.add("dropped.exporter_hangs")
            report_problem(f"{self._name}: records are lost", "it hangs, and its queue is full")
            return
        item = _Item(record)
        item.is_left = state.is_late
        state.waiting.append(item)
        self._wake(state)
        if item.is_left:
            return
        if not item.done.acquire(timeout=self._timeout):
            state.is_late = item.is_left = True
            why = f"export took more than {self._timeout:g} s; callers no longer wait for it"
            report_problem(f"{self._name} hangs", why)
        elif item.error is not None:
            raise item.error

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export the queued records, then flush `inner`; return whether both ended in time."""
        until = monotonic() + timeout_millis / 1000
        if not self._caught_up(until):
            return False
        left = max(0, int((until - monotonic()) * 1000))
        return self._calls.wait(self._calls.begin(lambda: self.inner.force_flush(left)), until)

    def shutdown(self) -> None:
        """Shut `inner` down; waits at most 1.5 s."""
        self.shutdown_by(monotonic() + _SHUTDOWN_SECONDS)

    def shutdown_by(self, until: float) -> None:
        """Shut `inner` down; waits at most until the moment `until` of the monotonic clock."""
        self._closed = True
        self._caught_up(until)
        self._calls.wait(self._calls.begin(self.inner.shutdown, last=True), until)

    def _caught_up(self, until: float) -> bool:
        state = self._state
        while not state.is_idle:
            if monotonic() >= until:
                return False
            self._wake(state)
            sleep(_POLL)
        return True

    def _wake(self, state: _ThreadState) -> None:
        if state.starting.acquire(blocking=False):
            me: weakref.ref[IsolatedExporter] = weakref.ref(self)
            try:
                start_thread(lambda: _run(me, state), f"otel-ext {self._name}", state.stop)
            except RuntimeError:  # no thread can be started: this one does the work
                state.starting.release()
                _export_queued(self.inner, state, self._name)
                return
        state.wake_event.set()

    def _reset(self) -> None:
        """Start with an empty queue; in a forked child the queued records are the parent's."""
        self._state = _ThreadState()


def _run(reference: weakref.ref[IsolatedExporter], state: _ThreadState) -> None:
    """Export records until the exporter is gone or the program exits; the thread's body."""
    state.thread_id = get_ident()
    while not state.stopping:
        woken = state.wake_event.wait(_CHECK_INTERVAL)
        exporter = reference()
        if exporter is None:
            return
        if woken:
            _export_queued(exporter.inner, state, exporter._name)  # noqa: SLF001 - its own thread
        del exporter
    state.starting.release()


def _export_queued(inner: RecordExporter, state: _ThreadState, name: str) -> None:
    while True:
        state.working = True
        try:
            item = state.waiting.popleft()
        except IndexError:
            state.working = state.is_late = False
            return
        try:
            item.context.run(inner.export, item.record)
        except BaseException as error:  # noqa: BLE001 - raised in the caller if it still waits
            item.error = error
            if item.is_left:
                COUNTERS.add("accepted")
                COUNTERS.add("dropped.hook_failed")
                report_problem(f"{name}: a record is lost", error)
        finally:
            item.done.release()


def isolate(exporter: RecordExporter) -> RecordExporter:
    """Return `exporter` itself if it never waits, else an `IsolatedExporter` around it.

    Args:
        exporter: Any exporter; those of this package have `never_waits = True`.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> mine = ConsoleExporter()
    >>> isolate(mine) is mine
    True
    """
    if getattr(exporter, "never_waits", False) is True:
        return exporter
    return IsolatedExporter(exporter)
