"""Threads and locks as the interpreter makes them, also where gevent replaced them.

A worker that is a greenlet runs only when the program yields, so it would stall
together with the program it watches. gevent keeps the originals it replaced;
they are asked for when a thread is started, because the patch may come late.
"""

from __future__ import annotations

import _thread
import sys
import threading
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Lock", "is_gevent", "new_lock", "start_thread"]


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


def start_thread(function: Callable[[], None], name: str) -> None:
    """Run `function` on a daemon thread of the operating system.

    Args:
        function: What the thread does; it should not raise.
        name: The thread's name, for debuggers and `threading.enumerate()`.

    Raises:
        RuntimeError: If the system has no more threads, or the interpreter ends.
    """
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
