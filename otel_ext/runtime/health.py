"""Health of the parts of otel-ext: healthy, degraded or failed, and why.

A part either updates a `HealthCell` or registers a method that returns its state when
`health()` is called. The registry holds both weakly, so it lists no part that is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import count
from time import time_ns
from typing import TYPE_CHECKING, Final, Literal

from otel_ext.record.timestamps import format_ns
from otel_ext.runtime.fork import check_process
from otel_ext.runtime.weak_method import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Health", "HealthCell", "PartHealth", "State", "health", "register_part"]

State = Literal["healthy", "degraded", "failed"]
_ORDER: Final[tuple[State, ...]] = ("healthy", "degraded", "failed")


@dataclass(frozen=True)
class PartHealth:
    """The health of one part.

    Args:
        name: The part.
        state: `healthy`; `degraded`: it works, but not as configured; `failed`: it does not.
        detail: Why, or what it is doing; may be empty.
        since_ns: When this state began, in nanoseconds since the epoch.
    """

    name: str
    state: State
    detail: str = ""
    since_ns: int = 0

    def as_dict(self) -> dict[str, object]:
        """Return the part for JSON."""
        return {
            "name": self.name,
            "state": self.state,
            "detail": self.detail,
            "since": format_ns(self.since_ns),
        }


@dataclass(frozen=True)
class Health:
    """The health of all parts at one moment.

    >>> sick = PartHealth("journal", "degraded", "disk full", 0)
    >>> Health((PartHealth("worker", "healthy"), sick)).state
    'degraded'
    """

    parts: tuple[PartHealth, ...]

    @property
    def state(self) -> State:
        """The worst state of any part; `healthy` when there are none."""
        return _ORDER[max((_ORDER.index(part.state) for part in self.parts), default=0)]

    def part(self, name: str) -> PartHealth | None:
        """Return the part called `name`; the worst one if there are several."""
        found = [part for part in self.parts if part.name == name]
        return max(found, key=lambda part: _ORDER.index(part.state), default=None)

    def as_dict(self) -> dict[str, object]:
        """Return everything for JSON."""
        return {"state": self.state, "parts": [part.as_dict() for part in self.parts]}


_reports: Final[dict[int, WeakMethod[PartHealth]]] = {}
_numbers: Final = count()


def register_part(report: Callable[[], PartHealth]) -> None:
    """List a part in `health()` for as long as its object lives.

    Args:
        report: A bound method that returns the part's health quickly, without a lock.
    """
    number = next(_numbers)
    # Not a Python function: Ctrl-C inside the callback of a weak reference would be lost.
    _reports[number] = WeakMethod(report, partial(_reports.pop, number))


class HealthCell:
    """The current health of one part and the moment of its last change.

    Args:
        name: The part's name.
        detail: The first detail.

    >>> cell = HealthCell("journal")
    >>> cell.degraded("disk full")
    >>> cell.report().state, cell.report().detail
    ('degraded', 'disk full')
    """

    def __init__(self, name: str, detail: str = "") -> None:
        self.name = name
        self._report = PartHealth(name, "healthy", detail, time_ns())
        register_part(self.report)

    def report(self) -> PartHealth:
        """Return the part's health."""
        return self._report

    def healthy(self, detail: str = "") -> None:
        """Record that the part works as configured."""
        self._set("healthy", detail)

    def degraded(self, detail: str) -> None:
        """Record that the part works, but not as configured, and why."""
        self._set("degraded", detail)

    def failed(self, detail: str) -> None:
        """Record that the part does not work, and why."""
        self._set("failed", detail)

    def _set(self, state: State, detail: str) -> None:
        old = self._report
        if (state, detail) != (old.state, old.detail):
            since = old.since_ns if state == old.state else time_ns()
            # One assignment: a reader sees the old report or the new one.
            self._report = PartHealth(self.name, state, detail, since)


def health() -> Health:
    """Return the health of every part of otel-ext in this process.

    >>> health().state in ("healthy", "degraded", "failed")
    True
    """
    check_process()
    parts: list[PartHealth] = []
    for _, reference in sorted(_reports.copy().items()):
        report = reference()
        if report is None:
            continue
        try:
            parts.append(report())
        except Exception as error:  # noqa: BLE001 - one part must not hide the others
            owner = type(getattr(report, "__self__", report)).__name__
            parts.append(PartHealth(owner, "failed", f"its report failed: {error!r}", time_ns()))
    return Health(tuple(parts))
