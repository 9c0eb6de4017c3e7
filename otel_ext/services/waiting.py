"""Wakes the threads and tasks that wait for a service."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event
    from collections.abc import Callable

__all__ = ["Waiters", "task_waker"]


class Waiters:
    """The threads and tasks that wait, by the name of the service.

    Whoever waits adds itself first and looks for the service then; whoever changes a service
    does so first and wakes then. So none misses a change.

    >>> waiters = Waiters()
    >>> from threading import Event
    >>> event = Event()
    >>> number = waiters.add("db", event.set)
    >>> waiters.wake("db")
    >>> event.is_set()
    True
    >>> waiters.remove(number)
    """

    def __init__(self) -> None:
        self._wakers: dict[object, tuple[str, Callable[[], None]]] = {}

    def add(self, name: str, wake: Callable[[], None]) -> object:
        """Call `wake` at each change of the service; return what `remove` takes."""
        key = object()
        self._wakers[key] = name, wake
        return key

    def remove(self, key: object) -> None:
        """Call it no more."""
        self._wakers.pop(key, None)

    def wake(self, name: str | None) -> None:
        """Wake those that wait for the service `name`, or all for None."""
        if not self._wakers:
            return
        for waited, wake in self._wakers.copy().values():
            if name is None or name == waited:
                wake()


def task_waker(loop: AbstractEventLoop, event: Event) -> Callable[[], None]:
    """Return a function that sets an event of asyncio from any thread."""

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed, and no task of it waits
            loop.call_soon_threadsafe(event.set)

    return wake
