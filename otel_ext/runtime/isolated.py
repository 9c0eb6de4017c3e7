"""Runs calls that may hang on a daemon thread, so that their callers need not hang.

Python cannot end a call that hangs. So it runs on another thread; its caller waits for it
until a deadline and then leaves it behind. All background threads of this package start,
wake, end and reset after a fork as `IsolatedThread` does here.
"""

from __future__ import annotations

import weakref
from collections import deque
from functools import partial
from math import inf
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.threads import WakeEvent, may_start_threads, new_lock, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IsolatedThread", "Ticket"]

# How often an idle thread checks whether its owner still exists, in seconds.
_CHECK_SECONDS: Final = 5.0
# How long no thread is started after the system has refused one, in seconds.
_REFUSED_SECONDS: Final = 1.0
# The exit does not wait for a call or job that has run this long; it has waited before.
_HANGING_SECONDS: Final = 1.0


class Ticket:
    """A submitted call and its outcome.

    `report` gets an error that no caller gets; with `is_left` no caller waits for the call.
    """

    def __init__(
        self,
        call: Callable[..., object],
        arguments: tuple[object, ...],
        report: Callable[[BaseException | str], None],
        is_left: bool,  # noqa: FBT001 - by position it is faster
    ) -> None:
        self._call = call
        self._arguments = arguments
        self._report = report
        self.is_left = is_left
        self.result: object = None
        self.error: BaseException | None = None
        self.has_begun = False
        self._is_done = False
        # Held until the call has ended.
        self._done = new_lock()
        self._done.acquire()

    def make(self) -> None:
        """Make the call; never raises."""
        self.has_begun = True
        try:
            self.result = self._call(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - raised in the caller if it still waits
            if self.is_left:
                self._report(error)
            if not self.is_left or not isinstance(error, Exception):
                self.error = error  # keeps the frames of the call
        finally:
            self._is_done = True
            self._done.release()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the end of the call; return whether it has ended."""
        # An interrupt between the two steps below may leave the lock held.
        if not self._is_done and self._done.acquire(timeout=max(0, seconds)):
            self._done.release()  # for the next thread that waits
        return self._is_done

    def succeeds_by(self, until: float) -> bool:
        """Wait until the moment `until` of the monotonic clock; report a failure or a late end.

        Returns whether the call ended in time, did not raise and did not return False.
        """
        if not self.wait(until - monotonic()):
            self.is_left = True
            self._report("a call takes too long and is left behind")
        elif self.error is not None:
            self._report(self.error)
        else:
            return self.result is not False
        return False


class _State:
    """A thread and its queue; a forked child gets a new one, and so does `abandon`."""

    def __init__(self) -> None:
        self.queue: deque[Ticket] = deque()
        self.alone: Ticket | None = None
        self.working = False
        self.running = False
        self.stopping = False
        self.ident = 0
        self.next_start = 0.0
        # When the running call or job started, by the monotonic clock; infinity while none runs.
        self.busy_since = inf
        self.wake_event = WakeEvent()
        # Held from the start of the thread to its end.
        self.starting = new_lock()
        # Held while the thread lives; each thread has its own.
        self.ended = new_lock()

    def stop(self) -> bool:
        """Let the thread end after the queued calls; return False if it seems to hang."""
        self.stopping = True
        self.wake_event.set()
        return monotonic() - self.busy_since < _HANGING_SECONDS

    def make_calls(self) -> None:
        """Make the queued calls."""
        queue = self.queue
        self.working = True
        while queue:
            try:
                ticket = queue.popleft()
            except IndexError:  # another thread makes that call
                break
            self.busy_since = monotonic()
            ticket.make()
        self.busy_since = inf
        self.working = False

    def begin(self) -> bool:
        """Reserve the state for one thread; False if it has one that starts, runs or ends."""
        if not self.starting.acquire(blocking=False):
            return False
        self.running = True
        return True

    def end(self) -> None:
        """Let another thread be started."""
        self.ident = 0
        self.busy_since = inf
        self.working = False
        self.running = False
        self.starting.release()


class IsolatedThread:
    """A daemon thread that makes submitted calls in order, and starts when one comes.

    Where no thread can be started, as while the interpreter ends, the caller's thread makes
    the calls. The thread ends with this object; calls that are queued then are still made.

    Args:
        where: The component that makes the calls, for messages.
        name: The thread's name; by default `otel-ext WHERE`.
        stays: Whether the thread waits for further calls when all have been made.
        report: Called with an error that no caller gets; prints it by default.

    >>> thread = IsolatedThread("doctest")
    >>> ticket = thread.submit(lambda: "sent")
    >>> ticket.wait(10), ticket.result
    (True, 'sent')
    """

    def __init__(
        self,
        where: str,
        *,
        name: str = "",
        stays: bool = True,
        report: Callable[[BaseException | str], None] | None = None,
    ) -> None:
        self.name = name or f"otel-ext {where}"
        self._stays = stays
        self._report = report or partial(report_problem, where)
        self._state = _State()
        after_fork_in_child(self._reset)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._state.running

    @property
    def is_idle(self) -> bool:
        """Whether all submitted calls have ended."""
        return not self._state.queue and not self._state.working

    @property
    def busy_seconds(self) -> float:
        """For how long the call that runs has been running; 0 if none does."""
        return max(monotonic() - self._state.busy_since, 0.0)

    @property
    def queued(self) -> int:
        """How many calls wait for the one that runs."""
        return len(self._state.queue)

    def submit(
        self, call: Callable[..., object], *arguments: object, is_left: bool = False
    ) -> Ticket:
        """Queue a call; its thread does not have the context variables of the caller.

        A call that comes from the thread itself is made at once: a wait for it would not end.

        Args:
            call: What to call.
            arguments: Its arguments.
            is_left: Whether no caller will wait for it, so that its error is reported.
        """
        ticket = Ticket(call, arguments, self._report, is_left)
        state = self._state
        if state.ident == get_ident():
            ticket.make()
            return ticket
        state.queue.append(ticket)
        started = state.running or self.ensure()
        # Another thread may have abandoned this state meanwhile: it gets a last thread.
        if started and (state is self._state or self._ensure(state)):
            state.wake_event.set()
        else:
            state.make_calls()
            if ticket.error is not None and not isinstance(ticket.error, Exception):
                raise ticket.error  # an interrupt of this thread
        return ticket

    def submit_alone(self, call: Callable[[], object], *, is_last: bool = False) -> Ticket:
        """Submit a call unless an earlier one has not begun yet; then return that one's ticket.

        So a flush begins after the records before it, and only one waits behind one that
        hangs. The last call (`is_last`), which no other follows, leaves earlier ones behind.
        """
        earlier = self._state.alone
        if earlier is not None:
            if not is_last and not earlier.has_begun:
                return earlier
            if is_last and not earlier.wait(0.0):
                self.abandon()
        state = self._state
        state.alone = ticket = self.submit(call)
        return ticket

    def ensure(self) -> bool:
        """Start the thread if it does not run; return False if none can be started now."""
        return self._ensure(self._state)

    def _ensure(self, state: _State) -> bool:
        if state.running:
            return True
        if monotonic() < state.next_start:
            return False
        try:
            self._start(state)
        except Exception as error:  # noqa: BLE001 - the callers do the work
            if may_start_threads():  # the system allows no more threads
                state.next_start = monotonic() + self._refused(error)
            return False
        return True

    def _refused(self, error: Exception) -> float:
        """Report that the thread cannot start; return the seconds until the next try."""
        self._report(f"no thread for its calls, so they delay others: {error}")
        return _REFUSED_SECONDS

    def _start(self, state: _State) -> None:
        if not state.begin():
            return
        try:
            state.stopping = state is not self._state
            state.ended = new_lock()
            state.ended.acquire()
            body = self._body(partial(_run, weakref.ref(self), state))
            start_thread(body, self.name, state.stop)
        except BaseException:
            state.end()
            raise

    def stop(self, timeout: float = 0.0) -> bool:
        """Let the thread end after the queued calls; return whether it has in `timeout` seconds."""
        state = self._state
        state.stop()
        if not state.running:
            return True
        if state.ident == get_ident():
            return False  # it ends after the call that runs now
        ended = state.ended
        if not ended.acquire(timeout=max(timeout, 0.0)):
            return False
        ended.release()
        return True

    def abandon(self) -> None:
        """Leave a call that hangs behind; the next one gets a new thread."""
        self._state.stop()
        self._state = _State()

    def work(self) -> float | None:
        """Do what is due apart from calls; called by the thread.

        Returns the seconds until something is due, unless the thread is woken; None ends it.
        """
        return _CHECK_SECONDS if self._stays else None

    def died(self, error: BaseException) -> None:
        """React to an error that ends the thread; called by it."""
        self._report(error)

    def _body(self, body: Callable[[], None]) -> Callable[[], None]:
        """Prepare the start; return the function that the thread runs, `body` or a wrapper."""
        return body

    def _reset(self) -> None:
        """Forget the thread and its calls, which a forked child does not have."""
        self._state = _State()


def _run(reference: weakref.ref[IsolatedThread], state: _State) -> None:
    """Make calls and work until the thread is to end; its body."""
    ended = state.ended
    while True:
        try:
            state.ident = get_ident()
            _make_calls_and_work(reference, state)
        except BaseException as error:  # noqa: BLE001 - the owner decides what follows
            thread = reference()
            if thread is not None and thread._state is state and not state.stopping:  # noqa: SLF001 - its own
                thread.died(error)
            del thread
        state.end()
        # A call may have come since the last look at the queue, and no other thread for it.
        if not (state.queue and state.begin()):
            break
    ended.release()


def _make_calls_and_work(reference: weakref.ref[IsolatedThread], state: _State) -> None:
    while True:
        thread = None if state.stopping else reference()
        pause = None if thread is None else thread.work()
        # A reference would keep the owner alive while the thread sleeps.
        del thread
        # Last, so that little is left to do while the caller wakes up.
        if state.queue:
            state.make_calls()
        if pause is None or state.stopping:
            return
        if pause:
            state.wake_event.wait(pause)
