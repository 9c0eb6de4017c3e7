"""Records which parts of otel-ext do not work as configured, so that other processes see it.

Each such part is an entity of the type `health` while it is not healthy.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.inflight.event_records import introduce_entities, write_event
from otel_ext.record.entities import HEALTH, Entity
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.health import health

if TYPE_CHECKING:
    from otel_ext.runtime.health import PartHealth, State

__all__ = ["HEALTH_CHANGED", "HealthEvents", "record_health"]

HEALTH_CHANGED: Final = "health.changed"
"""The name of the events."""

_MAX_PARTS: Final = 100
_DETAIL_SECONDS: Final = 30.0


class _Recorded(NamedTuple):
    """What was recorded last of a part, and when, by the monotonic clock."""

    state: State
    detail: str
    at: float


class HealthEvents:
    """Writes an event when a part of this process becomes degraded, failed or healthy again.

    >>> HealthEvents().run()
    """

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def run(self) -> None:
        """Look at all parts and record what has changed; the worker calls it."""
        found = health()
        troubled = {part.name for part in found.parts if part.state != "healthy"}
        for name in sorted(self._recorded.keys() - troubled):
            del self._recorded[name]
            write_event(
                HEALTH_CHANGED, {"state": "healthy"}, entity=Entity(HEALTH, name, deleted=True)
            )
        for name in sorted(troubled):
            part = found.part(name)
            if part is not None and self._is_news(part):
                self._record(part)

    def _is_news(self, part: PartHealth) -> bool:
        known = self._recorded.get(part.name)
        if known is None or known.state != part.state:
            return True
        # A detail may have a number that changes all the time.
        return known.detail != part.detail and monotonic() - known.at > _DETAIL_SECONDS

    def _record(self, part: PartHealth) -> None:
        if part.name in self._recorded or len(self._recorded) < _MAX_PARTS:
            self._recorded[part.name] = _Recorded(part.state, part.detail, monotonic())
            facts = part.as_dict()
            del facts["name"]
            write_event(HEALTH_CHANGED, facts, entity=Entity(HEALTH, part.name))

    def _reset(self) -> None:
        self._recorded: dict[str, _Recorded] = {}


_shared: Final[dict[str, HealthEvents]] = {}


def record_health() -> None:
    """Record which parts of this process have changed their health since the last call.

    Destinations that were set up since then get the entities that live, too.

    >>> record_health()
    """
    introduce_entities()
    found = _shared.get("events") or _shared.setdefault("events", HealthEvents())
    found.run()
