"""Native threads and locks, even where gevent replaced them, that end with the program.

A worker that is a greenlet runs only when the program yields, so it would stall
together with the program it watches. gevent keeps the originals that it replaced;
they are looked up when a thread starts, because the patch may come late.

An exit handler ends the threads. CPython stops a daemon thread only when it next
requests the interpreter lock: one that sleeps outlives `Py_FinalizeEx`, and where an
application then starts Python again it wakes up in an interpreter that does not know
it. See docs/adr/0019.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeAlias, cast

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

# How long the exit waits for all threads together: one that does not hang needs milliseconds.
_END_SECONDS: Final = 0.25
# How Python 3.12 and later refuse a thread in an exit handler; `sys.is_finalizing()` is still
# False there.
_ENDS: Final = "at interpreter shutdown"

Lock: TypeAlias = _thread.LockType
"""The interpreter's own lock: any thread may release it."""


def _patched(name: str) -> Callable[..., object] | None:
    """Return the original of `_thread.NAME` where gevent replaced it, else None."""
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
    """Return a new native lock, not held.

    >>> lock = new_lock()
    >>> lock.acquire(), lock.acquire(timeout=0.001)
    (True, False)
    """
    if "gevent.monkey" not in sys.modules:  # at once: each call that may hang makes a lock
        return _thread.allocate_lock()
    allocate = _patched("allocate_lock")
    return _thread.allocate_lock() if allocate is None else cast("Lock", allocate())


class WakeEvent:
    """Wakes the one thread that waits for it; several calls of `set` before that count as one.

    >>> wake_event = WakeEvent()
    >>> wake_event.set()
    >>> wake_event.set()
    >>> wake_event.wait(0), wake_event.wait(0)
    (True, False)
    """

    def __init__(self) -> None:
        # Held while the event is not set: setting it releases the lock, which never waits.
        self._lock = new_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake the thread; never waits, safe in signal handlers."""
        try:  # noqa: SIM105 - on the program's path, kept light
            self._lock.release()
        except RuntimeError:  # it is set already
            pass

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` until the event is set, then clear it; return whether it was set."""
        return self._lock.acquire(timeout=seconds)


class _Running:
    """A thread of this package."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._thread: threading.Thread | None = None
        # Held until `_thread` is known, or until the end of a thread without one.
        self._found = new_lock()
        self._found.acquire()

    def start_named(self, function: Callable[[], None], name: str) -> None:
        """Start the named thread of `threading`; the body of a short helper thread.

        `Thread.start` waits until the new thread runs, for milliseconds on a busy
        machine. The helper thread waits instead of the program's thread, which may be
        within its first span.
        """
        thread = threading.Thread(target=function, name=name, daemon=True)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError:  # the system has no thread for it
            function()
        finally:
            self._found.release()

    def run(self, function: Callable[[], None]) -> None:
        """Run `function`; the body of a native thread that `threading` does not know."""
        try:
            function()
        finally:
            self._found.release()

    def stop(self) -> bool:
        """Ask the thread to end; return False if it hangs, so that waiting is useless."""
        with suppress(Exception):  # the other threads must end, too
            return self._stop() is not False
        return False

    def has_ended(self, until: float = 0.0) -> bool:
        """Wait for the end of the thread until `until`; return whether it has ended."""
        if not self._found.acquire(timeout=max(until - monotonic(), 0.0)):
            return False
        self._found.release()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return thread is None
        # Returns when the interpreter has released the thread, not when its function returns.
        thread.join(max(until - monotonic(), 0.0))
        return not thread.is_alive()


class _Threads:
    """The threads of this package, and whether more can be started.

    When C code forks without running Python's fork hooks, a thread of the parent may be
    waiting for the interpreter lock. In the child that waiter stays for ever: as soon as
    two threads of the child compete for the lock, both deadlock.
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
        """Add a thread that runs, and drop those that have ended."""
        self.running = [*(one for one in self.running if not one.has_ended()), started]
        if self.are_over:  # another thread called `end` meanwhile
            started.stop()

    def end(self) -> None:
        """End all threads and start no more; one that hangs is left behind."""
        check_process()
        self.are_over = True
        ending = [one for one in self.running if one.stop()]
        until = monotonic() + _END_SECONDS
        for one in ending:
            one.has_ended(until)


_threads: Final[dict[str, _Threads]] = {}


def _our_threads() -> _Threads:
    # setdefault is one step of the interpreter: two threads get the same object.
    return _threads.get("threads") or _threads.setdefault("threads", _Threads())


def end_threads_at_exit() -> None:
    """Make the threads end after all exit handlers that are registered from now on.

    Otherwise they end after those registered since the first thread started.
    """
    _our_threads()


def may_start_threads() -> bool:
    """Return whether a thread started now would run, and would not block the process.

    While the interpreter ends, a new thread never runs, and before Python 3.12
    `Thread.start` waits for it for ever; later ones start none from the first exit handler
    on, which is known once they have refused one. Once the exit has ended the threads of this
    package, another one would outlive the interpreter. uWSGI's master forks its workers
    even while a thread holds the interpreter lock, so it must have no thread of this
    package; nor may a child that C code forked from a process that had one.

    >>> may_start_threads()
    True
    """
    threads = _our_threads()
    is_over = sys.is_finalizing() or threads.are_over
    return not (is_over or threads.would_block or _is_uwsgi_master())


def _is_uwsgi_master() -> bool:
    """Whether this process is uWSGI's master, or loads the program before it forks."""
    # uWSGI itself provides the module; a package that only imitates it lacks the functions.
    uwsgi = sys.modules.get("uwsgi")
    worker_id = getattr(uwsgi, "worker_id", None)
    master_pid = getattr(uwsgi, "masterpid", None)
    if worker_id is None or master_pid is None:
        return False
    # Mules and spoolers have worker id 0 as well, but they have a master.
    return worker_id() == 0 and master_pid() in {0, os.getpid()}


def start_thread(
    function: Callable[[], None], name: str, stop: Callable[[], object] = tuple
) -> None:
    """Run `function` on a native daemon thread; it should not raise.

    Args:
        function: The body of the thread.
        name: The thread's name, for debuggers and `threading.enumerate()`.
        stop: Makes a `function` that takes long return soon, without waiting; called at the
            exit of the program. It returns False if `function` hangs.

    Raises:
        RuntimeError: If the system has no more threads, or `may_start_threads` is False.
    """
    if not may_start_threads():
        raise RuntimeError("no thread is started here: see may_start_threads")
    threads = _our_threads()
    threads.have_run = True
    thread = _Running(stop)
    original = _patched("start_new_thread")
    try:
        if original is None:
            _thread.start_new_thread(thread.start_named, (function, name))
        else:
            original(thread.run, (function,))
    except RuntimeError as error:
        if _ENDS in str(error):
            threads.are_over = True
        raise
    threads.add(thread)
