"""Exporters that others have written, called so that one that hangs holds up nobody.

Python cannot end a call that hangs. So a stranger's `export` runs on a thread of
its own, which the caller waits for as long as a call may reasonably take: records
arrive in order and at once, and what is raised reaches the caller. When a call
takes longer, nobody waits for that exporter until it has caught up; meanwhile
records queue up for it, within a bound.
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
from otel_ext.runtime.threads import Bell, new_lock, start_thread

if TYPE_CHECKING:
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["IsolatedExporter", "patient"]

_TIMEOUT: Final = 0.5
_MAX_WAITING: Final = 10_000
_SHUTDOWN_SECONDS: Final = 1.5
# How often the thread looks whether its exporter is still wanted, in seconds.
_LOOK: Final = 5.0
_POLL: Final = 0.002


class _Item:
    """One record on its way, and what became of it."""

    __slots__ = ("context", "done", "error", "is_left", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.context = copy_context()
        self.done = new_lock()
        self.done.acquire()
        self.error: BaseException | None = None
        self.is_left = False


class _Life:
    """One thread and what waits for it; a forked child begins another."""

    __slots__ = ("bell", "is_late", "starting", "stopping", "thread_id", "waiting", "working")

    def __init__(self) -> None:
        self.waiting: deque[_Item] = deque()
        self.working = False
        self.is_late = False
        self.stopping = False
        self.thread_id = 0
        # Held by the one who starts the thread, and then while that lives.
        self.starting = new_lock()
        self.bell = Bell()

    def stop(self) -> None:
        """Let the thread end behind what waits; does not wait."""
        self.stopping = True
        self.bell.ring()

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.working


class IsolatedExporter:
    """Calls `inner` on a thread of its own, and waits for it only so long.

    Args:
        inner: An exporter whose `export` may hang.
        patience: Seconds that a caller waits for it.

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
        """Hand one record on; what `inner` raises in time is raised here."""
        if self._closed:
            COUNTERS.add("exporter.closed")
            return
        life = self._life
        if life.thread_id == get_ident():
            self.inner.export(record)  # of a span that it starts itself
            return
        if len(life.waiting) >= _MAX_WAITING:
            COUNTERS.add("accepted")
            COUNTERS.add("dropped.exporter_hangs")
            report_problem(f"{self._name}: records are lost", "it hangs, and its queue is full")
            return
        item = _Item(record)
        item.is_left = life.is_late
        life.waiting.append(item)
        self._wake(life)
        if item.is_left:
            return
        if not item.done.acquire(timeout=self._timeout):
            life.is_late = item.is_left = True
            why = f"export took more than {self._timeout:g} s and is not waited for any more"
            report_problem(f"{self._name} hangs", why)
        elif item.error is not None:
            raise item.error

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush `inner` once it has what was exported; whether all that was done in time."""
        until = monotonic() + timeout_millis / 1000
        if not self._caught_up(until):
            return False
        left = max(0, int((until - monotonic()) * 1000))
        return self._calls.wait(self._calls.begin(lambda: self.inner.force_flush(left)), until)

    def shutdown(self) -> None:
        """Shut `inner` down; does not wait if it hangs."""
        self.shutdown_by(monotonic() + _SHUTDOWN_SECONDS)

    def shutdown_by(self, until: float) -> None:
        """Shut `inner` down; does not wait for it any longer than until then."""
        self._closed = True
        self._caught_up(until)
        self._calls.wait(self._calls.begin(self.inner.shutdown, last=True), until)

    def _caught_up(self, until: float) -> bool:
        life = self._life
        while not life.is_idle:
            if monotonic() >= until:
                return False
            self._wake(life)
            sleep(_POLL)
        return True

    def _wake(self, life: _Life) -> None:
        if life.starting.acquire(blocking=False):
            me: weakref.ref[IsolatedExporter] = weakref.ref(self)
            try:
                start_thread(lambda: _run(me, life), f"otel-ext {self._name}", life.stop)
            except RuntimeError:  # no more threads to be had: then here and now
                life.starting.release()
                _work_off(self.inner, life, self._name)
                return
        life.bell.ring()

    def _reset(self) -> None:
        """In a forked child: what waits is the parent's."""
        self._life = _Life()


def _run(reference: weakref.ref[IsolatedExporter], life: _Life) -> None:
    """Hand records on until the exporter is gone or the program exits; the body of the thread."""
    life.thread_id = get_ident()
    while not life.stopping:
        rung = life.bell.wait(_LOOK)
        exporter = reference()
        if exporter is None:
            return
        if rung:
            _work_off(exporter.inner, life, exporter._name)  # noqa: SLF001 - its own thread
        del exporter
    life.starting.release()


def _work_off(inner: RecordExporter, life: _Life, name: str) -> None:
    while True:
        life.working = True
        try:
            item = life.waiting.popleft()
        except IndexError:
            life.working = life.is_late = False
            return
        try:
            item.context.run(inner.export, item.record)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, who may still wait
            item.error = error
            if item.is_left:
                COUNTERS.add("accepted")
                COUNTERS.add("dropped.hook_failed")
                report_problem(f"{name}: a record is lost", error)
        finally:
            item.done.release()


def patient(exporter: RecordExporter) -> RecordExporter:
    """Return `exporter` if it says that it never waits, else what calls it patiently.

    Args:
        exporter: Anybody's; ours have an attribute `never_waits = True`.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> mine = ConsoleExporter()
    >>> patient(mine) is mine
    True
    """
    if getattr(exporter, "never_waits", False) is True:
        return exporter
    return IsolatedExporter(exporter)
