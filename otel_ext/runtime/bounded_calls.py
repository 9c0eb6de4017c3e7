"""Calls that may hang, waited for no longer than there is time.

Python cannot end a call that hangs. So it is made on a thread of its own and,
when the time is up, left there; until it returns no second one is begun.
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
    """Makes one call at a time on a daemon thread and waits for it only so long.

    Args:
        where: Whose calls they are, for messages.

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
        """Begin to call `function`, unless an earlier call still runs: then that one is meant.

        Where no thread can be started, as while the interpreter ends, the call
        is made here and now.

        Args:
            function: What to call; False or an exception means that it failed.
            last: Call it whatever still runs: there will be no further call.
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
        """Wait for `call` until then, by the monotonic clock.

        Returns:
            Whether it came to an end in time, did not raise and did not return False.
        """
        if call.wait(until - monotonic()):
            return call.succeeded
        report_problem(self._where, "it takes too long and is not waited for any more")
        return False

    def _reset(self) -> None:
        """In a forked child: the thread is gone, and with it the call."""
        self._running = None


class Call:
    """One call: what it is, and what became of it."""

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
        except Exception as error:  # noqa: BLE001 - it must not end anybody else's work
            report_problem(self._where, error)
        finally:
            self.is_done = True
            self._done.release()

    def wait(self, seconds: float) -> bool:
        """Wait so long for the call to come to an end; whether it did."""
        if not self._done.acquire(timeout=max(seconds, 0.0)):
            return False
        self._done.release()  # for the next who waits
        return True
