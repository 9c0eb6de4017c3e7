"""Closing in time: what closes is told by when, if it can be told.

One deadline goes down from whoever ends the program to everything that writes, so
that the parts do not each take their own time. Exporters of others know nothing of
it; they are shut down as ever, and their callers bound the time.

A shutdown at the exit of the program is no end: exit handlers that were registered
before ours run after it. Whoever shuts down asks `is_exiting`; see docs/adr/0017.
The threads of this package end after all exit handlers that `shut_down_at_exit` calls.
"""

from __future__ import annotations

import atexit
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.threads import end_threads_at_exit
from otel_ext.runtime.weak_method import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = [
    "EXIT_SECONDS",
    "HasRoom",
    "TimedShutdown",
    "at_exit",
    "has_room",
    "is_exiting",
    "shut_down_at_exit",
    "shutdown_by",
]

EXIT_SECONDS: Final = 2.0
"""How much longer an exit takes at most, whatever hangs while it writes."""

# As many items as there are calls of `at_exit` under way, on any thread.
_at_exit: Final[list[None]] = []


def is_exiting() -> bool:
    """Return whether a shutdown that is under way is one of an exit handler.

    The interpreter waits for the threads of the program, then calls its exit handlers
    on the main thread, which no longer counts as alive.

    >>> is_exiting()
    False
    """
    main = threading.main_thread()
    return bool(
        _at_exit
        or sys.is_finalizing()
        or (threading.get_ident() == main.ident and not main.is_alive())
    )


@contextmanager
def at_exit() -> Generator[None]:
    """Let `is_exiting` say so inside, also to the threads that a shutdown starts.

    >>> with at_exit():
    ...     is_exiting()
    True
    """
    _at_exit.append(None)
    try:
        yield
    finally:
        _at_exit.pop()


class _ExitHandler:
    """Calls, when the program exits, the shutdowns that the program has not called itself."""

    def __init__(self) -> None:
        self.shutdowns: list[WeakMethod[None]] = []
        end_threads_at_exit()
        atexit.register(self.run)

    def add(self, shutdown: Callable[[], None]) -> None:
        # Several threads may add at once: one call on the list for each change.
        for dead in [known for known in self.shutdowns if known() is None]:
            with suppress(ValueError):
                self.shutdowns.remove(dead)
        self.shutdowns.append(WeakMethod(shutdown))

    def run(self) -> None:
        """Call all, those that were added last first."""
        for known in reversed(self.shutdowns):
            shutdown = known()
            if shutdown is None:
                continue
            try:
                with at_exit():
                    shutdown()
            except Exception as error:  # noqa: BLE001 - the program is ending
                report_problem("shutdown at exit failed", error)


_handler: Final[dict[str, _ExitHandler]] = {}


def shut_down_at_exit(shutdown: Callable[[], None]) -> None:
    """Call the bound `shutdown` at the exit of the program, while its object lives.

    The threads of this package run until then and end behind it.

    Args:
        shutdown: Idempotent; the program may call it before.
    """
    handler = _handler.get("handler")
    if handler is None:
        handler = _handler.setdefault("handler", _ExitHandler())
    handler.add(shutdown)


@runtime_checkable
class TimedShutdown(Protocol):
    """What can be told by when to be done."""

    def shutdown_by(self, until: float) -> None:
        """Shut down by then, by the monotonic clock. Twice is once."""
        ...


@runtime_checkable
class HasRoom(Protocol):
    """What can tell whether more records may come now."""

    def has_room(self, until: float) -> bool:
        """Wait until many more records can be taken, or until then; whether they can."""
        ...


def shutdown_by(part: object, shutdown: Callable[[], object], until: float) -> None:
    """Shut `part` down by then, if it can be told; else call its `shutdown`.

    Args:
        part: An exporter or a processor.
        shutdown: Its `shutdown`.
        until: The moment, by the monotonic clock.

    >>> shutdown_by(None, lambda: print("closed"), 0.0)
    closed
    """
    if isinstance(part, TimedShutdown):
        part.shutdown_by(until)
    else:
        shutdown()


def has_room(part: object, until: float) -> bool:
    """Wait until `part` can take many more records, or until then; whether it can.

    >>> has_room(None, 0.0)
    True
    """
    return part.has_room(until) if isinstance(part, HasRoom) else True
