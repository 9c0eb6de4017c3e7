"""Threads and locks as the interpreter makes them, also where gevent replaced them.

A worker that is a greenlet runs only when the program yields, so it would stall
together with the program it watches. gevent keeps the originals it replaced;
they are asked for when a thread is started, because the patch may come late.

The threads end with the exit handlers of the program. CPython stops a daemon thread only
when it next asks for the interpreter lock: one that sleeps outlives `Py_FinalizeEx`, and
where an application then starts Python again it wakes up in an interpreter that does not
know it. See docs/adr/0019.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol, cast

from otel_ext.runtime.fork import after_fork_in_child, check_process, forked_without_hooks

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Lock",
    "WakeEvent",
    "end_threads_at_exit",
    "is_gevent",
    "may_start_threads",
    "new_lock",
    "start_thread",
]

# What the exit waits for threads in all: one that does not hang needs milliseconds.
_END_SECONDS: Final = 0.25


class Lock(Protocol):
    """The interpreter's own lock: any thread may release it."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002
        """Take the lock; whether that was done within `timeout` seconds."""
        ...

    def release(self) -> None:
        """Give the lock back; RuntimeError if nobody holds it."""
        ...


def _patched(name: str) -> Callable[..., object] | None:
    """Return what gevent kept under `_thread.NAME`, None where nothing was replaced."""
    monkey = sys.modules.get("gevent.monkey")
    is_patched = getattr(monkey, "is_object_patched", None)
    if monkey is None or is_patched is None or not is_patched("_thread", name):
        return None
    original: Callable[..., object] = monkey.get_original("_thread", name)
    return original


def is_gevent() -> bool:
    """Whether gevent has replaced the threads of this program."""
    return _patched("start_new_thread") is not None


def new_lock() -> Lock:
    """Return a lock of the interpreter, free.

    >>> lock = new_lock()
    >>> lock.acquire(), lock.acquire(timeout=0.001)
    (True, False)
    """
    allocate = _patched("allocate_lock")
    return _thread.allocate_lock() if allocate is None else cast("Lock", allocate())


class WakeEvent:
    """Wakes the one thread that waits for it; several rings before it is heard count as one.

    >>> wake_event = WakeEvent()
    >>> wake_event.set()
    >>> wake_event.set()
    >>> wake_event.wait(0), wake_event.wait(0)
    (True, False)
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        # Held while nothing has rung: ringing is releasing it, which never waits.
        self._lock = new_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Ring; never waits, safe in signal handlers."""
        try:  # noqa: SIM105 - on the program's path, kept light
            self._lock.release()
        except RuntimeError:  # it rings already
            pass

    def wait(self, seconds: float) -> bool:
        """Wait for a ring; whether there was one in time."""
        return self._lock.acquire(timeout=seconds)


class _Running:
    """A thread of this package."""

    __slots__ = ("_found", "_stop", "_thread")

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._thread: threading.Thread | None = None
        # Held until `_thread` is known, or until the end of a thread without one.
        self._found = new_lock()
        self._found.acquire()

    def start_named(self, function: Callable[[], None], name: str) -> None:
        """Start the thread that `threading` knows by its name; the body of a thread before it.

        `Thread.start` waits until the new thread runs, for milliseconds on a busy
        machine. The program's thread, within its first span, is not to wait.
        """
        thread = threading.Thread(target=function, name=name, daemon=True)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError:  # there is no room for two
            function()
        finally:
            self._found.release()

    def run(self, function: Callable[[], None]) -> None:
        """Run `function`; the body of a thread that `threading` does not know."""
        try:
            function()
        finally:
            self._found.release()

    def stop(self) -> bool:
        """Ask the thread to end; whether that is worth waiting for."""
        with suppress(Exception):  # the other threads must be asked, too
            return self._stop() is not False
        return False

    def has_ended(self, until: float = 0.0) -> bool:
        """Wait for the end until then, by the monotonic clock; whether it has come."""
        if not self._found.acquire(timeout=max(until - monotonic(), 0.0)):
            return False
        self._found.release()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return thread is None
        # Returns when the interpreter has forgotten the thread, not only its function's end.
        thread.join(max(until - monotonic(), 0.0))
        return not thread.is_alive()


class _Threads:
    """The threads of this package, and whether more can be started.

    Where a fork is made in C, without the interpreter being told, a thread of the parent
    may be waiting for the interpreter lock at that moment. In the child it is a waiter
    that never leaves: as soon as two threads of the child take turns, both wait for ever.
    """

    def __init__(self) -> None:
        self.have_run = False
        self.would_block = False
        self.are_over = False
        self.running: list[_Running] = []
        after_fork_in_child(self._after_fork)
        atexit.register(self.end)

    def _after_fork(self) -> None:
        self.would_block = forked_without_hooks() and (self.have_run or self.would_block)
        self.have_run = False
        self.running = []

    def add(self, started: _Running) -> None:
        """Note a thread that runs, and forget those that have ended."""
        self.running = [*(one for one in self.running if not one.has_ended()), started]
        if self.are_over:  # meanwhile, on another thread
            started.stop()

    def end(self) -> None:
        """End all, and start no more. One that hangs is left behind."""
        check_process()
        self.are_over = True
        ending = [one for one in self.running if one.stop()]
        until = monotonic() + _END_SECONDS
        for one in ending:
            one.has_ended(until)


_threads: Final[dict[str, _Threads]] = {}


def _our_threads() -> _Threads:
    found = _threads.get("threads")
    return found if found is not None else _threads.setdefault("threads", _Threads())


def end_threads_at_exit() -> None:
    """Let the threads of this package end behind the exit handlers registered from now on.

    Otherwise they end behind those that are registered after the first thread has started.
    """
    _our_threads()


def may_start_threads() -> bool:
    """Return whether a thread started now would run, and would not block the process.

    While the interpreter ends a new thread never runs, and before Python 3.12
    `Thread.start` waits for it for ever. Once the exit has ended our threads, another one
    would outlive the interpreter. uWSGI's master forks its workers whatever
    holds the interpreter lock at that moment, so it must have no thread of ours. A child
    that was forked like that from a process with threads of ours can have none either.

    >>> may_start_threads()
    True
    """
    threads = _our_threads()
    is_over = sys.is_finalizing() or threads.are_over
    return not (is_over or threads.would_block or _is_uwsgi_master())


def _is_uwsgi_master() -> bool:
    """Whether this process of uWSGI forks others: the master, and whatever loads the program."""
    # uWSGI itself provides the module; a package that only imitates it lacks the functions.
    uwsgi = sys.modules.get("uwsgi")
    worker_id = getattr(uwsgi, "worker_id", None)
    master_pid = getattr(uwsgi, "masterpid", None)
    if worker_id is None or master_pid is None:
        return False
    # Mules and spoolers are no workers either, but they have a master.
    return worker_id() == 0 and master_pid() in {0, os.getpid()}


def start_thread(
    function: Callable[[], None], name: str, stop: Callable[[], object] = tuple
) -> None:
    """Run `function` on a daemon thread of the operating system.

    Args:
        function: What the thread does; it should not raise.
        name: The thread's name, for debuggers and `threading.enumerate()`.
        stop: Makes `function` return soon, without waiting; called at the exit of the
            program. False if it hangs, and so will not return soon. By default it returns
            soon in any case.

    Raises:
        RuntimeError: If the system has no more threads, or `may_start_threads` says no.
    """
    if not may_start_threads():
        raise RuntimeError("no thread is started here: see may_start_threads")
    threads = _our_threads()
    threads.have_run = True
    thread = _Running(stop)
    original = _patched("start_new_thread")
    if original is None:
        _thread.start_new_thread(thread.start_named, (function, name))
    else:
        original(thread.run, (function,))
    threads.add(thread)
