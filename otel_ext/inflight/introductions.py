"""Introduces the entities of this process to destinations that are set up after them."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.runtime.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.inflight.origin import Origin
    from otel_ext.inflight.tracker import Tracker
    from otel_ext.record.entities import Entity

__all__ = ["EventFacts", "Introductions", "introductions"]

_MAX_KNOWN: Final = 100_000


class EventFacts(NamedTuple):
    """What is recorded of an event, as the program has made it.

    Attributes:
        seq: The number of its record, so that one that is written later, for a new destination,
            does not count as newer than what has come meanwhile.
        time_ns: When it was, nanoseconds since the epoch.
    """

    name: str
    attributes: Mapping[str, object]
    entity: Entity | None
    origin: Origin
    seq: int
    time_ns: int


class Introductions:
    """Knows which entities live, and which destinations know them; a forked child has none.

    Of more than 100,000 entities, the others are not known.

    >>> Introductions().new_among([])
    []
    """

    _latest: dict[tuple[str, str], EventFacts]
    _known: weakref.WeakSet[Tracker]

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def note(self, event: EventFacts) -> None:
        """Remember an event about an entity; forget the entity if the event ends it."""
        entity = event.entity
        if entity is None:
            return
        key = entity.type, entity.id
        if entity.deleted:
            self._latest.pop(key, None)
        elif key in self._latest or len(self._latest) < _MAX_KNOWN:
            self._latest[key] = event

    def new_among(self, senders: Iterable[Tracker]) -> list[Tracker]:
        """Return those that were not among the senders of an earlier call."""
        new = [sender for sender in senders if sender not in self._known]
        self._known.update(new)
        return new

    def latest(self) -> list[EventFacts]:
        """Return the latest event about each entity that lives."""
        return list(self._latest.copy().values())

    def forget(self) -> None:
        """Forget all entities, for tests: a new destination gets none of them."""
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
