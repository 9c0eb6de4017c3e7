"""Waits for a call that may hang only until a deadline.

Python cannot end a call that hangs. So it runs on a thread of its own, which is left
behind at the deadline; no second call starts until that one has returned.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.threads import new_lock, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.runtime.threads import Lock

__all__ = ["BoundedCalls", "Call"]


class BoundedCalls:
    """Makes one call at a time on a daemon thread and waits for it until a deadline.

    Args:
        where: The component that makes the calls, for messages.

    >>> calls = BoundedCalls("doctest")
    >>> call = calls.begin(lambda: True)
    >>> calls.wait(call, monotonic() + 10)
    True
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._running: Call | None = None
        after_fork_in_child(self._reset)

    def begin(self, function: Callable[[], object], *, last: bool = False) -> Call:
        """Start to call `function`; return the earlier call instead if that still runs.

        Where no thread can be started, as while the interpreter ends, this thread
        makes the call.

        Args:
            function: What to call; False or an exception means that it failed.
            last: Start this call even while an earlier one runs; no other will follow.
        """
        running = self._running
        if running is not None and not running.is_done and not last:
            return running
        call = Call(self._where, function)
        self._running = call
        try:
            start_thread(call.run, f"otel-ext {self._where}")
        except RuntimeError:
            call.run()
        return call

    def wait(self, call: Call, until: float) -> bool:
        """Wait for `call` until the moment `until` of the monotonic clock.

        Returns:
            Whether it ended in time, did not raise and did not return False.
        """
        if call.wait(until - monotonic()):
            return call.succeeded
        report_problem(self._where, "a call takes too long and is left behind")
        return False

    def _reset(self) -> None:
        """Forget the call: a forked child does not have its thread."""
        self._running = None


class Call:
    """One call and its outcome."""

    def __init__(self, where: str, function: Callable[[], object]) -> None:
        self._where = where
        self._function = function
        self._done: Lock = new_lock()
        self._done.acquire()
        self.is_done = False
        self.succeeded = False

    def run(self) -> None:
        """Make the call; the body of the thread."""
        try:
            self.succeeded = self._function() is not False
        except Exception as error:  # noqa: BLE001 - the caller's work must go on
            report_problem(self._where, error)
        finally:
            self.is_done = True
            self._done.release()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the call to end; return whether it did."""
        if not self._done.acquire(timeout=max(seconds, 0.0)):
            return False
        self._done.release()  # for the next thread that waits
        return True
