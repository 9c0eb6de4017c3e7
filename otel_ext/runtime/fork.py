"""Runs the reset hooks of this package in every forked child.

The interpreter runs at-fork hooks in a child whose other threads are gone, so a
hook that takes a lock, joins a thread or does I/O can hang it for good. Hooks
registered here only replace objects; they are held weakly, so a processor that
was dropped is not kept alive (opentelemetry-python#4449).

A fork made in C, as by uWSGI without `--lazy-apps`, runs no at-fork hooks of Python.
`check_process` detects such a child and runs the hooks then: every entry point that
takes a record, flushes or shuts down calls it first. It reads one byte of a page that
the kernel clears in a child (madvise(2), MADV_WIPEONFORK); where the kernel has no
such pages, it compares the process id.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections import deque
from contextlib import suppress
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext._accel import configure
from otel_ext.runtime.weak_method import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["after_fork_in_child", "check_process", "forked_without_hooks"]

# Not in the module `mmap`; include/uapi/asm-generic/mman-common.h.
_MADV_WIPEONFORK: Final = 18
# How long a thread waits for another one that runs the hooks, in seconds.
_WAIT: Final = 1.0


class _ProcessId:
    """A mark that compares process ids: one system call for each read."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int, /) -> int:
        return int(os.getpid() == self._pid)

    def __setitem__(self, index: int, value: int, /) -> None:
        self._pid = os.getpid() if value else 0


_Mark: TypeAlias = bytearray | memoryview | _ProcessId
"""Its only item is 0 in a process that was forked since the item was set."""


def _wiped_page() -> memoryview | None:
    """Return memory that the kernel clears in a forked child; None where it does not."""
    if sys.platform != "linux":
        return None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            # Invalid advice: an emulator that ignores advice accepts it too.
            page.madvise(-1)
        except OSError:
            page.madvise(_MADV_WIPEONFORK)
            return memoryview(page)
    except (OSError, ValueError):
        pass
    return None


class _Process:
    """The process that the state of this package belongs to, and the reset hooks."""

    def __init__(self) -> None:
        # Until the first hook is added a child has nothing to reset.
        self.mark: _Mark = bytearray(b"\1")
        self.hooks: dict[int, WeakMethod[None]] = {}
        self._numbers = count()
        self._waiting: deque[int] | None = None
        self._entering = RLock()
        self.forked_without_hooks = False

    def add(self, method: Callable[[], None]) -> None:
        number = next(self._numbers)
        # Only one thread can get the number 0.
        if number == 0:
            self._watch()
        for stale in [known for known, hook in self.hooks.copy().items() if hook() is None]:
            self.hooks.pop(stale, None)
        self.hooks[number] = WeakMethod(method)

    def _watch(self) -> None:
        page = _wiped_page()
        mark: _Mark = _ProcessId() if page is None else page
        mark[0] = 1
        self.mark = mark
        configure("watch_process", page, check_process)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        # A thread that the child does not have may hold the old lock.
        self._entering = RLock()
        self._waiting = None
        self.forked_without_hooks = False
        self._run_hooks()
        self.mark[0] = 1

    def enter(self) -> None:
        """Run the hooks, unless another thread of this process has just run them."""
        lock = self._entering
        # With a time limit: a thread that the child does not have may hold it.
        held = lock.acquire(timeout=_WAIT)
        try:
            if not self.mark[0]:
                self.forked_without_hooks = True
                self._run_hooks()
                self.mark[0] = 1
        finally:
            if held:
                lock.release()

    def _run_hooks(self) -> None:
        waiting = self._waiting
        # A signal handler or a finalizer may interrupt the hooks and record something: it
        # runs the remaining hooks, and the interrupted run finds none left.
        if waiting is None:
            waiting = self._waiting = deque(self.hooks.copy())
        while waiting:
            try:
                hook = self.hooks.get(waiting.popleft())
            except IndexError:  # that run came between
                break
            method = None if hook is None else hook()
            if method is not None:
                # A hook that fails must not stop the child.
                with suppress(Exception):
                    method()
        self._waiting = None


_PROCESS: Final = _Process()


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call the bound `method` in every child forked from now on, if its object still lives.

    Hooks run in the order of registration.

    Args:
        method: A bound method that only swaps objects: no lock, no I/O.
    """
    _PROCESS.add(method)


def forked_without_hooks() -> bool:
    """Return whether C code forked this process without running Python's fork hooks.

    Then the interpreter lock is in the state that the fork left it in, too.

    >>> forked_without_hooks()
    False
    """
    return _PROCESS.forked_without_hooks


def check_process() -> None:
    """Run the reset hooks if C code forked this process; see the module.

    Otherwise it costs one read of memory. Call it before any use of state that belongs
    to a process: record numbers, ring buffer, queues.

    >>> check_process()
    """
    if not _PROCESS.mark[0]:
        _PROCESS.enter()
