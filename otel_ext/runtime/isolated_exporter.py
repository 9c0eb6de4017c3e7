"""Isolates third-party exporters, so that one that hangs does not block the program.

A third-party `export` runs on a thread of its own, and the caller waits for it up to a
timeout: records arrive in order and at once, and exceptions reach the caller. After a
timeout callers do not wait for that exporter until it has caught up; meanwhile records
wait in a bounded queue.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.isolated import IsolatedThread

if TYPE_CHECKING:
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["IsolatedExporter", "isolate"]

_TIMEOUT: Final = 0.5
_MAX_WAITING: Final = 10_000
_POLL_SECONDS: Final = 0.002
_SHUTDOWN_SECONDS: Final = 1.5


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
        self._exports = IsolatedThread(self._name, report=partial(_count_loss, self._name))
        # Flush and shutdown, which an export that hangs must not hold up.
        self._calls = IsolatedThread(self._name, stays=False)
        self._is_late = False
        self._closed = False

    def export(self, record: Record) -> None:
        """Export one record; what `inner` raises before the timeout is raised here."""
        if self._closed:
            COUNTERS.add("exporter.closed")
            return
        exports = self._exports
        is_late = self._is_late
        if is_late and exports.is_idle:
            is_late = self._is_late = False
        if is_late and exports.queued >= _MAX_WAITING:
            COUNTERS.add("accepted")
            COUNTERS.add("dropped.exporter_hangs")
            report_problem(f"{self._name}: records are lost", "it hangs, and its queue is full")
            return
        in_context = copy_context().run
        ticket = exports.submit(in_context, self.inner.export, record, is_left=is_late)
        if is_late:
            return
        if not ticket.wait(self._timeout):
            self._is_late = ticket.is_left = True
            why = f"export took more than {self._timeout:g} s; callers no longer wait for it"
            report_problem(f"{self._name} hangs", why)
        elif ticket.error is not None:
            raise ticket.error

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export the queued records, then flush `inner`; return whether both ended in time."""
        until = monotonic() + timeout_millis / 1000
        if not self._caught_up(until):
            return False
        left = max(0, int((until - monotonic()) * 1000))
        return self._calls.submit_alone(lambda: self.inner.force_flush(left)).succeeds_by(until)

    def shutdown(self) -> None:
        """Shut `inner` down; waits at most 1.5 s."""
        self.shutdown_by(monotonic() + _SHUTDOWN_SECONDS)

    def shutdown_by(self, until: float) -> None:
        """Shut `inner` down; waits at most until the moment `until` of the monotonic clock."""
        self._closed = True
        self._caught_up(until)
        self._calls.submit_alone(self.inner.shutdown, is_last=True).succeeds_by(until)

    def _caught_up(self, until: float) -> bool:
        """Wait until all queued records are exported; return whether they are."""
        while not self._exports.is_idle:
            if monotonic() >= until:
                return False
            sleep(_POLL_SECONDS)
        return True


def _count_loss(name: str, error: BaseException | str) -> None:
    """Count and report a record whose export failed after its caller had left."""
    if isinstance(error, str):
        report_problem(name, error)
        return
    COUNTERS.add("accepted")
    COUNTERS.add("dropped.hook_failed")
    report_problem(f"{name}: a record is lost", error)


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
