"""Threads and locks as the interpreter makes them, also where gevent replaced them.

A worker that is a greenlet runs only when the program yields, so it would stall
together with the program it watches. gevent keeps the originals it replaced;
they are asked for when a thread is started, because the patch may come late.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from typing import TYPE_CHECKING, Final, Protocol, cast

from otel_ext.runtime.fork import after_fork_in_child, is_silent_child

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Lock", "is_gevent", "may_start_threads", "new_lock", "start_thread"]


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


class _Threads:
    """Whether threads of ours have run, and whether the interpreter lock may be broken by that.

    Where a fork is made in C, without the interpreter being told, a thread of the parent
    may be waiting for the interpreter lock at that moment. In the child it is a waiter
    that never leaves: as soon as two threads of the child take turns, both wait for ever.
    """

    def __init__(self) -> None:
        self.have_run = False
        self.would_block = False
        after_fork_in_child(self._after_fork)

    def _after_fork(self) -> None:
        self.would_block = is_silent_child() and (self.have_run or self.would_block)
        self.have_run = False


_threads: Final[dict[str, _Threads]] = {}


def _our_threads() -> _Threads:
    found = _threads.get("threads")
    return found if found is not None else _threads.setdefault("threads", _Threads())


def may_start_threads() -> bool:
    """Return whether a thread started now would run, and would not block the process.

    While the interpreter ends a new thread never runs, and before Python 3.12
    `Thread.start` waits for it for ever. uWSGI's master forks its workers whatever
    holds the interpreter lock at that moment, so it must have no thread of ours. A child
    that was forked like that from a process with threads of ours can have none either.

    >>> may_start_threads()
    True
    """
    return not (sys.is_finalizing() or _our_threads().would_block or _is_uwsgi_master())


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


def start_thread(function: Callable[[], None], name: str) -> None:
    """Run `function` on a daemon thread of the operating system.

    Args:
        function: What the thread does; it should not raise.
        name: The thread's name, for debuggers and `threading.enumerate()`.

    Raises:
        RuntimeError: If the system has no more threads, or `may_start_threads` says no.
    """
    if not may_start_threads():
        raise RuntimeError("no thread is started here: see may_start_threads")
    _our_threads().have_run = True
    original = _patched("start_new_thread")
    if original is None:
        _thread.start_new_thread(_start_named, (function, name))
    else:
        original(function, ())


def _start_named(function: Callable[[], None], name: str) -> None:
    """Start the thread that `threading` knows by its name; the body of a thread before it.

    `Thread.start` waits until the new thread runs, for milliseconds on a busy
    machine. The program's thread, within its first span, is not to wait.
    """
    try:
        threading.Thread(target=function, name=name, daemon=True).start()
    except RuntimeError:  # there is no room for two
        function()
