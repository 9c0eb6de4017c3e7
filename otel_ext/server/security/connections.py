"""Limits how many connections are open at once, and notices readers that have stopped."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Connection", "ConnectionLimit", "ReaderWatch"]


class Connection(Protocol):
    """An open connection."""

    @property
    def waiting_since(self) -> float | None:
        """Since when it is without a request, by one clock; None while there is one."""
        ...

    def evict(self) -> None:
        """Close it at once."""
        ...


class ConnectionLimit:
    """The open connections of a server, and the limit for them.

    Args:
        most: How many may be open.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # In the order in which they were made, so that the oldest of equals goes first.
        self._open: dict[Connection, None] = {}

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def add(self, connection: Connection) -> bool:
        """Add a new connection, for which others without a request may be closed.

        Those that have been without one for longest are closed first. While all have one,
        the new connection is over the limit; it should be refused, and it is the first
        to be closed for the next one.

        Returns:
            Whether it is within the limit.
        """
        excess = len(self._open) + 1 - self._most
        waiting = [(one.waiting_since, one) for one in self._open] if excess > 0 else []
        idle = sorted(
            ((since, one) for since, one in waiting if since is not None), key=lambda pair: pair[0]
        )
        for _, one in idle[:excess]:
            del self._open[one]
            one.evict()
        self._open[connection] = None
        return len(self._open) <= self._most

    def remove(self, connection: Connection) -> None:
        """Remove a connection that was closed. Idempotent."""
        self._open.pop(connection, None)


class ReaderWatch:
    """Notices that a client reads nothing of what waits for it.

    Args:
        seconds: For how long it may.
        now: The time, as for all methods by one clock.

    >>> watch = ReaderWatch(30.0, now=0.0)
    >>> watch.has_stopped(5_000, now=20.0), watch.has_stopped(5_000, now=30.0)
    (False, True)
    """

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._unsent = 0
        self._last_read = now

    def note_read(self, now: float) -> None:
        """Note that the client has read."""
        self._last_read = now

    def has_stopped(self, unsent: int, now: float) -> bool:
        """Whether the client has read nothing for too long.

        Args:
            unsent: How many bytes wait for it.
            now: The time.
        """
        if unsent == 0 or unsent < self._unsent:
            self._last_read = now
        self._unsent = unsent
        return now - self._last_read >= self._seconds
