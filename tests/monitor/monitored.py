"""A clock that a test sets, and spans for a `PerformanceMonitor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.events.bus import emit

if TYPE_CHECKING:
    from otel_ext.monitor import PerformanceMonitor


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def ended(name: str, *milliseconds: int) -> None:
    """Emit the ends of spans, as the records of a program do."""
    ids = {"name": name, "trace_id": "a" * 32, "span_id": "b" * 16}
    for one in milliseconds:
        emit("span.stop", {"duration_ns": one * 1_000_000}, ids)


def kinds(monitor: PerformanceMonitor) -> list[str]:
    """Return the kinds of its alerts, after all events so far."""
    monitor.flush()
    return [alert.kind for alert in monitor.alerts]
