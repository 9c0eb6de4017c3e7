"""What a supervised child gets: the signal to stop, and the way to say that it is ready."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

__all__ = ["ChildContext", "StopSignal"]


class StopSignal:
    """An event that threads and asyncio tasks can wait for.

    >>> signal = StopSignal()
    >>> signal.wait(0.0)
    False
    >>> signal.set()
    >>> signal.is_set(), signal.wait()
    (True, True)
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._waiting: deque[tuple[AbstractEventLoop, asyncio.Event]] = deque()

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._event.is_set()

    def set(self) -> None:
        """Set it, which ends all waits; from any thread."""
        self._event.set()
        while self._waiting:
            # Another thread may take it first, and the loop may be closed.
            with suppress(IndexError, RuntimeError):
                loop, event = self._waiting.popleft()
                loop.call_soon_threadsafe(event.set)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait on this thread, up to `timeout` seconds; return whether it is set."""
        is_long = timeout is None or timeout > threading.TIMEOUT_MAX
        return self._event.wait(None if is_long else timeout)

    async def wait_async(self, timeout: float | None = None) -> bool:
        """Wait in an asyncio task, up to `timeout` seconds; return whether it is set."""
        import asyncio  # noqa: PLC0415 - a program without tasks need not import it

        event = asyncio.Event()
        waiting = asyncio.get_running_loop(), event
        self._waiting.append(waiting)
        try:
            # Looked at after adding: `set` may have come between.
            if not self._event.is_set():
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(event.wait(), timeout)
        finally:
            # `set` may have removed it, or remove others at this moment.
            with suppress(ValueError, IndexError):
                self._waiting.remove(waiting)
        return self._event.is_set()


class ChildContext:
    """The first argument of a supervised child.

    Args:
        child: The child's id, `SUPERVISOR/CHILD`.
        life: The number of this life: 1, and one more with each restart.
        on_ready: Called by `ready`.

    Attributes:
        child: The child's id.
        life: The number of this life.
        has_asked: Whether the child has ever looked at `stopping`. A coroutine that has is not
            cancelled when it is to end, until its deadline.

    >>> context = ChildContext("shop/importer", 1, lambda: print("ready"))
    >>> context.ready()
    ready
    >>> context.stopping.is_set()
    False
    """

    def __init__(self, child: str, life: int, on_ready: Callable[[], object]) -> None:
        self.child = child
        self.life = life
        self._on_ready = on_ready
        self._stopping = StopSignal()
        self.has_asked = False

    @property
    def stopping(self) -> StopSignal:
        """Set when the child is to end; a loop looks at it, or waits for it instead of sleeping.

        A coroutine that never looks at it is cancelled when it is to end.
        """
        self.has_asked = True
        return self._stopping

    def ready(self) -> None:
        """Say that the child works, so that the next one starts. Idempotent."""
        self._on_ready()

    def stop(self) -> None:
        """Set `stopping`, as the supervisor does."""
        self._stopping.set()
