"""Detects the death of a span's owner: the thread or the asyncio task that opened it.

Weak references detect it, without polling. Each thread keeps one token, only in its
thread-local storage; when the thread ends, however it was made, the token is freed and
the callback of its weak reference runs. A task has a weak reference to itself. The
callbacks are `deque.append`, so they take no lock and run no Python code, whatever the
garbage collector interrupted.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from otel_ext.runtime.tasks import running_task
from otel_ext.runtime.threads import is_gevent

if TYPE_CHECKING:
    from asyncio import Task

__all__ = ["Owner", "Owners", "TaskOwner", "ThreadOwner"]

_TASKS_OF_SYSTEM: Final = "/proc/self/task/"


class _Token:
    """Lives exactly as long as its thread."""

    __slots__ = ("__weakref__",)


class ThreadOwner(weakref.ref[_Token]):
    """A weak reference to a thread's token; shared by the spans that the thread opened."""

    __slots__ = ("native_id",)
    native_id: int

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self() is not None or self.runs_on_system()

    def runs_on_system(self) -> bool:
        """Whether the operating system still has the thread.

        A thread of C code that enters Python call by call loses its
        thread-local storage each time it leaves (PyGILState_Release).
        """
        return bool(self.native_id) and os.path.exists(f"{_TASKS_OF_SYSTEM}{self.native_id}")  # noqa: PTH110


class TaskOwner(weakref.ref["Task[object]"]):
    """A weak reference to a task, for one span; `key` is the span's."""

    __slots__ = ("key",)
    key: tuple[int, int]

    def is_alive(self) -> bool:
        """Whether the task is not finished; a finished one may still be referenced."""
        task = self()
        return task is not None and not _is_done(task)


Owner: TypeAlias = ThreadOwner | TaskOwner


def _is_done(task: Task[object]) -> bool:
    """Call `done` of asyncio's own task type, so that no subclass's code runs."""
    base = sys.modules["asyncio"].Task
    try:
        return bool(base.done(task))
    except TypeError:
        return task.done()


class Owners:
    """Returns the owner of new spans, and collects the owners that died.

    Weak-reference callbacks append to `gone` each owner whose thread or task died while
    a span of it was open. The owner of a task is freed with its ended span.

    >>> owners = Owners()
    >>> owners.of_thread().is_alive()
    True
    >>> owners.of_thread() is owners.of_thread()
    True
    """

    __slots__ = ("_by_greenlet", "gone", "has_tasks", "local", "note_gone")

    def __init__(self) -> None:
        self.gone: deque[Owner] = deque()
        self.note_gone = self.gone.append
        self.has_tasks = False
        self.local = threading.local()
        # gevent's thread-local storage belongs to greenlets: then they are the owners,
        # and the operating system does not have them.
        self._by_greenlet = is_gevent()

    def of_thread(self) -> ThreadOwner:
        """Return the calling thread as an owner."""
        try:
            return cast("ThreadOwner", self.local.owner)
        except AttributeError:
            return self._adopt_thread()

    def of_task(self, key: tuple[int, int]) -> Owner:
        """Return the running asyncio task as the owner of the span `key`, else the thread."""
        task = running_task()
        if task is None:
            return self.of_thread()
        owner = TaskOwner(task, self.note_gone)
        owner.key = key
        self.has_tasks = True
        return owner

    def _adopt_thread(self) -> ThreadOwner:
        token = _Token()
        owner = ThreadOwner(token, self.note_gone)
        watched = sys.platform == "linux" and not self._by_greenlet
        owner.native_id = threading.get_native_id() if watched else 0
        local = self.local
        # In this order: storage is cleared from the front, so an owner that no open
        # span refers to is freed before the token, and its callback does not run.
        local.owner = owner
        local.token = token
        return owner
