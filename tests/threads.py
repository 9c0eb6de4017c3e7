"""Runs functions on threads at the same time."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["in_threads", "numbered_threads", "on_thread", "worker_held"]

_LIMIT: Final = 30.0


def in_threads(*calls: Callable[[], object], names: Sequence[str] = ()) -> None:
    """Make each call on a thread of its own, at the same time, and wait for all.

    An exception in a thread fails the test.

    Args:
        calls: The functions.
        names: Names of the threads, one for each.
    """
    threads = [threading.Thread(target=call) for call in calls]
    for thread, name in zip(threads, names, strict=False):
        thread.name = name
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def numbered_threads(count: int, call: Callable[[int], object]) -> None:
    """Call `call(0)` to `call(count - 1)` as `in_threads` does."""
    in_threads(*(lambda number=number: call(number) for number in range(count)))


def on_thread(call: Callable[[], object], name: str | None = None) -> None:
    """Make a call on another thread, and wait for it."""
    thread = threading.Thread(target=call, name=name)
    thread.start()
    thread.join()


@contextmanager
def worker_held() -> Generator[None, None, None]:
    """Keep the shared worker from its jobs meanwhile, so that what is queued stays queued."""
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        release.wait(_LIMIT)

    held = shared_worker().submit(hold)
    assert entered.wait(_LIMIT)
    try:
        yield
    finally:
        release.set()
        assert held.wait(_LIMIT)
