"""Records which parts of otel-ext do not work as configured, so that other processes see it.

Each such part is an entity of the type `health` while it is not healthy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
            if part is not None and self._recorded.get(name) != part.state:
                self._record(part)

    def _record(self, part: PartHealth) -> None:
        if part.name in self._recorded or len(self._recorded) < _MAX_PARTS:
            self._recorded[part.name] = part.state
            facts = part.as_dict()
            del facts["name"]
            write_event(HEALTH_CHANGED, facts, entity=Entity(HEALTH, part.name))

    def _reset(self) -> None:
        self._recorded: dict[str, State] = {}


_shared: Final[dict[str, HealthEvents]] = {}


def record_health() -> None:
    """Record which parts of this process have changed their health since the last call.

    Destinations that were set up since then get the entities that live, too.

    >>> record_health()
    """
    introduce_entities()
    found = _shared.get("events") or _shared.setdefault("events", HealthEvents())
    found.run()
