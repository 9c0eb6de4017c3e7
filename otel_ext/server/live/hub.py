"""`Hub`: wakes the streams when the store has changed."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from otel_ext.server.unavailable import unavailable

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Hub"]

_RETRY_SECONDS: Final = 5
# Half of the connections that there may be: the others are for questions.
_MOST_STREAMS: Final = 32


class Hub:
    """Counts the streams, and tells them of changes; used in the event loop only.

    It keeps no events: a stream asks the store what has changed after the last change that it
    has sent, however long ago that was.

    Args:
        most: How many streams there may be.

    Attributes:
        change: The number of the store's last change.
    """

    def __init__(self, most: int = _MOST_STREAMS) -> None:
        self.change = 0
        self._most = most
        self._streams = 0
        self._changed = asyncio.Event()
        self._is_closed = False

    @property
    def streams(self) -> int:
        """How many streams there are."""
        return self._streams

    @property
    def is_closed(self) -> bool:
        """Whether the streams have to end."""
        return self._is_closed

    def publish(self, change: int) -> None:
        """Tell the streams of a change."""
        if change != self.change:
            self.change = change
            self._wake()

    def close(self) -> None:
        """Tell the streams to end."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def check_room(self) -> None:
        """Check whether there may be another stream.

        Raises:
            RequestError: There are too many.
        """
        if self._streams >= self._most:
            raise unavailable(
                f"There are {self._most} streams already",
                "Close other windows of the viewer.",
                retry_seconds=_RETRY_SECONDS,
            )

    @contextmanager
    def stream(self) -> Generator[None]:
        """Count a stream for the block."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def wait(self, change: int, seconds: float) -> None:
        """Wait for a change beyond one, or for the time.

        Args:
            change: The change that is known.
            seconds: The most to wait.
        """
        if self.change == change and not self._is_closed:
            changed = self._changed
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), seconds)
