"""Shuts components down within one time limit, however many they are.

Without a common limit each would add its own timeout to the exit. Third-party exporters do
not accept a deadline; their plain `shutdown` is called, and their callers bound the time.

Records may still come after a shutdown at the exit of the program: exit handlers that
were registered before ours run after it. So components check `is_exiting` as they shut
down; see docs/adr/0017. The threads of this package end after all exit handlers that
`shut_down_at_exit` calls.
"""

from __future__ import annotations

import atexit
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.threads import end_threads_at_exit
from otel_ext.runtime.weak_method import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = [
    "EXIT_SECONDS",
    "STORE_SECONDS",
    "at_exit",
    "has_room",
    "is_exiting",
    "shut_down_at_exit",
    "shutdown_by",
]

EXIT_SECONDS: Final = 2.0
"""The longest that writing the last records delays the exit, whatever hangs."""

STORE_SECONDS: Final = 1.0
"""The time for writing a full queue to disk, after the time for sending it."""

# One item for each `at_exit` block that is active, on any thread.
_at_exit: Final[list[None]] = []


def is_exiting() -> bool:
    """Return whether the program runs its exit handlers now.

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
    """Make `is_exiting` return True inside the block, on all threads.

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
    """Calls the registered shutdowns when the program exits."""

    def __init__(self) -> None:
        self.shutdowns: list[WeakMethod[None]] = []
        end_threads_at_exit()
        atexit.register(self.run)

    def add(self, shutdown: Callable[[], None]) -> None:
        # Threads may add at the same time: each change is one call of a list method.
        for dead in [known for known in self.shutdowns if known() is None]:
            with suppress(ValueError):
                self.shutdowns.remove(dead)
        self.shutdowns.append(WeakMethod(shutdown))

    def run(self) -> None:
        """Call them all, the last added first."""
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
    """Call the bound method `shutdown` when the program exits, if its object still lives.

    The threads of this package run until then and end after it.

    Args:
        shutdown: Idempotent; the program may have called it before.
    """
    handler = _handler.get("handler") or _handler.setdefault("handler", _ExitHandler())
    handler.add(shutdown)


def shutdown_by(part: object, shutdown: Callable[[], object], until: float) -> None:
    """Call `part.shutdown_by(until)` if `part` has that method, else `shutdown`.

    Args:
        part: An exporter or a processor.
        shutdown: Its `shutdown`.
        until: The deadline, by the monotonic clock.

    >>> shutdown_by(None, lambda: print("closed"), 0.0)
    closed
    """
    timed: Callable[[float], object] | None = getattr(part, "shutdown_by", None)
    if timed is None:
        shutdown()
    else:
        timed(until)


def has_room(part: object, until: float) -> bool:
    """Wait until `part` has room for many more records, at most to `until`; return whether it has.

    A part without the method `has_room` always has.

    >>> has_room(None, 0.0)
    True
    """
    waits: Callable[[float], bool] | None = getattr(part, "has_room", None)
    return True if waits is None else waits(until)
