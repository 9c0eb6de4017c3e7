"""Restarts background threads that died, with back-off.

No thread watches the others. A part that dies reports it as its last act; the next
span hook that calls `ensure` after the back-off starts it again. While no part is
down, `ensure` only checks that a dictionary is empty.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.backoff import Backoff
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.threads import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Supervisor", "shared_supervisor"]

_INITIAL_INTERVAL: Final = 0.1
_MAX_INTERVAL: Final = 30.0
_STABLE: Final = 60.0


class _Part:
    """A supervised part: how to start it, and how often it failed."""

    __slots__ = ("after", "backoff", "cell", "name", "start", "started_at")

    def __init__(self, name: str, start: Callable[[], None], after: tuple[str, ...]) -> None:
        self.name = name
        self.start = start
        self.after = after
        self.backoff = Backoff(_INITIAL_INTERVAL, _MAX_INTERVAL)
        self.started_at = 0.0
        self.cell = HealthCell(name, "not started")


class Supervisor:
    """Starts parts when they are needed, and again after they died.

    >>> supervisor = Supervisor()
    >>> supervisor.add("drain", lambda: print("drain starts"))
    >>> supervisor.add("sender", lambda: print("sender starts"), after=("drain",))
    >>> supervisor.start("drain")
    drain starts
    >>> supervisor.start("sender")
    sender starts
    """

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}
        self._down: dict[str, float] = {}
        self._restarting = new_lock()
        after_fork_in_child(self._reset)

    def add(self, name: str, start: Callable[[], None], *, after: tuple[str, ...] = ()) -> None:
        """Supervise a part.

        Args:
            name: Its name in `health()`.
            start: Starts its thread, quickly; raises if it cannot.
            after: Parts that it depends on: after one of these is started again,
                so is this one.
        """
        self._parts[name] = _Part(name, start, after)

    def remove(self, name: str) -> None:
        """Stop supervising a part that was stopped on purpose."""
        self._parts.pop(name, None)
        self._down.pop(name, None)

    def start(self, name: str) -> None:
        """Start the part `name` for the first time, or after it was stopped."""
        if name in self._parts:
            self._down.setdefault(name, 0.0)
            self.ensure()

    def died(self, name: str, error: BaseException | str) -> None:
        """Note that the part `name` is down; called by its thread as its last act."""
        part = self._parts.get(name)
        if part is None:
            return
        if monotonic() - part.started_at > _STABLE:
            part.backoff.reset()
        self._note(part, error)

    def is_down(self, name: str) -> bool:
        """Whether the part waits for its next start."""
        return name in self._down

    def ensure(self) -> None:
        """Start the parts that are down and due; cheap while none is down, never waits."""
        if not self._down:
            return
        lock = self._restarting
        # Two hooks at once, or a signal handler within one: only the first starts parts.
        if not lock.acquire(blocking=False):
            return
        try:
            now = monotonic()
            for name, due in self._down.copy().items():
                if due <= now:
                    self._start(name, now, seen=set())
        finally:
            lock.release()

    def _start(self, name: str, now: float, seen: set[str]) -> None:
        part = self._parts.get(name)
        if part is None or name in seen or any(needed in self._down for needed in part.after):
            return
        seen.add(name)
        # Out of the list before it starts: it may die, and report it, at once.
        self._down.pop(name, None)
        part.started_at = now
        try:
            part.start()
        except Exception as error:  # noqa: BLE001 - no more threads, or the interpreter ends
            self._note(part, error)
            return
        if name not in self._down:
            failures = part.backoff.failures
            again = f"running, started again after {failures} failures"
            part.cell.healthy(again if failures else "running")
        for dependant in list(self._parts.values()):
            if name in dependant.after and dependant.started_at:
                self._start(dependant.name, now, seen)

    def _note(self, part: _Part, error: BaseException | str) -> None:
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        now = monotonic()
        delay = part.backoff.failed(now, text)
        part.cell.failed(f"{text}; starts again with the first span after {delay:.1f} s")
        self._down[part.name] = now + delay
        if "at interpreter shutdown" in text:
            return  # no thread can start any more; a flush does the remaining work
        report_problem(f"{part.name}: stopped and will be started again", error)

    def _reset(self) -> None:
        """Forget what was started or down: a forked child has no threads."""
        self._down = {}
        self._restarting = new_lock()
        for part in self._parts.values():
            part.started_at = 0.0
            part.backoff.reset()


_shared: Final[dict[str, Supervisor]] = {}


def shared_supervisor() -> Supervisor:
    """Return the supervisor of this process.

    >>> shared_supervisor() is shared_supervisor()
    True
    """
    found = _shared.get("supervisor")
    # setdefault is one step of the interpreter: two threads get the same object.
    return found if found is not None else _shared.setdefault("supervisor", Supervisor())
