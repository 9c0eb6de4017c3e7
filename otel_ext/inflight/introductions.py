"""Introduces the entities of this process to destinations that are set up after them."""

from __future__ import annotations

import weakref
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.runtime.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.inflight.origin import Origin
    from otel_ext.inflight.tracker import Tracker
    from otel_ext.record.entities import Entity

__all__ = ["Introductions", "LatestEvent", "introductions"]

_MAX_KNOWN: Final = 100_000


class LatestEvent(NamedTuple):
    """The latest event about an entity that lives, as the program has made it."""

    name: str
    attributes: Mapping[str, object]
    entity: Entity
    origin: Origin
    time_ns: int


class Introductions:
    """Knows which entities live, and which destinations know them; a forked child has none.

    >>> Introductions().new_among([])
    []
    """

    _latest: dict[tuple[str, str], LatestEvent]
    _known: weakref.WeakSet[Tracker]

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def note(
        self, name: str, attributes: Mapping[str, object], entity: Entity, origin: Origin
    ) -> None:
        """Remember an event about an entity; forget the entity if the event ends it."""
        key = entity.type, entity.id
        if entity.deleted:
            self._latest.pop(key, None)
        elif key in self._latest or len(self._latest) < _MAX_KNOWN:
            self._latest[key] = LatestEvent(name, attributes, entity, origin, time_ns())

    def new_among(self, senders: Iterable[Tracker]) -> list[Tracker]:
        """Return those that were not among the senders of an earlier call."""
        new = [sender for sender in senders if sender not in self._known]
        self._known.update(new)
        return new

    def latest(self) -> list[LatestEvent]:
        """Return the latest event about each entity that lives."""
        return list(self._latest.copy().values())

    def forget(self) -> None:
        """Forget all entities; a destination that is new later gets none of them."""
        self._latest = {}

    def _reset(self) -> None:
        self._latest = {}
        self._known = weakref.WeakSet()


_shared: Final[dict[str, Introductions]] = {}


def introductions() -> Introductions:
    """Return those of this process.

    >>> introductions() is introductions()
    True
    """
    return _shared.get("all") or _shared.setdefault("all", Introductions())
