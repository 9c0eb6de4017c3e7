"""`SendThread`: a thread that makes one call at a time, so its caller need not hang.

Python cannot end a call that hangs. So the calls of a destination run on their own
thread, and the caller waits for them only as long as it chooses.
"""

from __future__ import annotations

import weakref
from contextvars import copy_context
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.threads import WakeEvent, may_start_threads, new_lock, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SendThread"]

# How often a thread checks whether its owner still exists, in seconds.
_CHECK_SECONDS: Final = 5.0


class _ThreadState:
    """One thread and its next call; a forked child gets a new one."""

    __slots__ = ("call", "idle", "next_start", "running", "starting", "stopping", "wake_event")

    def __init__(self) -> None:
        self.running = False
        self.stopping = False
        self.call: Callable[[], None] | None = None
        # Acquired by the caller that starts the thread, and never released after that.
        self.starting = new_lock()
        self.next_start = 0.0
        self.wake_event = WakeEvent()
        # Held during a call.
        self.idle = new_lock()

    def stop(self) -> None:
        """Let the thread end after the current call; does not wait."""
        self.stopping = True
        self.wake_event.set()


class SendThread:
    """Makes calls on a daemon thread, one at a time, for one caller.

    Args:
        name: The thread's name.

    >>> thread = SendThread("doctest-send")
    >>> calls = []
    >>> thread.start_call(lambda: calls.append("sent"))
    >>> thread.wait(10), calls
    (True, ['sent'])
    >>> thread.stop()
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._state = _ThreadState()
        after_fork_in_child(self._reset)

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        return self._state.running

    def ensure(self) -> None:
        """Start the thread if it is not running; not possible while the interpreter exits."""
        state = self._state
        if state.running or state.stopping or monotonic() < state.next_start:
            return
        if not may_start_threads():
            return  # the caller's thread makes each call
        if not state.starting.acquire(blocking=False):
            return
        state.running = True
        reference: weakref.ref[SendThread] = weakref.ref(self)
        try:
            start_thread(lambda: _run(reference, state), self.name, state.stop)
        except RuntimeError as error:  # the system allows no more threads
            state.running = False
            state.next_start = monotonic() + _CHECK_SECONDS
            state.starting.release()
            report_problem(f"{self.name}: no thread, so a slow destination delays others", error)

    def start_call(self, call: Callable[[], None]) -> None:
        """Start a call; the previous one must have ended (`wait`).

        If no thread can be started, the call is made on this thread.

        Args:
            call: The function to call; it runs in the context of the caller.
        """
        self.ensure()
        state = self._state
        context = copy_context()
        state.idle.acquire()
        state.call = lambda: context.run(call)
        if state.running:
            state.wake_event.set()
        else:
            _make(state)

    def wait(self, seconds: float) -> bool:
        """Wait for the current call to end; whether it has ended.

        Args:
            seconds: How long to wait at most; 0 only checks.
        """
        idle = self._state.idle
        if not idle.acquire(timeout=max(seconds, 0.0)):
            return False
        idle.release()
        return True

    def abandon(self) -> None:
        """Abandon a call that hangs; the next one gets a new thread."""
        self._state.stopping = True
        self._state = _ThreadState()

    def stop(self) -> None:
        """End the thread after the current call, without waiting. Idempotent."""
        self._state.stop()

    def _reset(self) -> None:
        self._state = _ThreadState()


def _make(state: _ThreadState) -> None:
    call = state.call
    try:
        if call is not None:
            call()
    except BaseException as error:  # noqa: BLE001 - the thread must go on
        report_problem("a call of a send thread failed", error)
    finally:
        state.call = None
        state.idle.release()


def _run(reference: weakref.ref[SendThread], state: _ThreadState) -> None:
    """Make calls until the thread is stopped or its owner no longer exists."""
    while not state.stopping:
        if state.wake_event.wait(_CHECK_SECONDS):
            if state.call is not None:
                _make(state)
        elif reference() is None:
            break
    state.running = False
