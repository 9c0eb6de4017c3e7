"""What an event record is about: an agent, a service, a child of a supervisor, a checkpoint.

Such a record has the metadata key `entity`. The merge rule: of all records of one process
with the same type and id, the one with the highest `seq` says what the entity is; a
`deleted` one ends it, and so does the end or the death of its process. Only a checkpoint
outlives its process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_ext.record.model import Record

__all__ = [
    "AGENT",
    "CHECKPOINT",
    "ENTITY",
    "HEALTH",
    "Entity",
    "EntityKey",
    "NewestEntities",
    "entity_in",
    "entity_of",
]

ENTITY: Final = "entity"
"""The metadata key."""

AGENT: Final = "agent"
"""The type of registered agents."""

CHECKPOINT: Final = "checkpoint"
"""The type whose entities outlive their process."""

HEALTH: Final = "health"
"""The type of the parts of otel-ext that do not work as configured."""

_MAX_DELETED: Final = 10_000

_Value = TypeVar("_Value")


class Entity(NamedTuple):
    """The entity that an event record is about.

    Attributes:
        type: Such as `agent`, `service`, `child` or `checkpoint`.
        id: Its name, unique among those of its type in its process.
        deleted: Whether the record ends it.

    >>> Entity("agent", "importer-1").as_metadata()
    {'type': 'agent', 'id': 'importer-1'}
    """

    type: str
    id: str
    deleted: bool = False

    def as_metadata(self) -> dict[str, object]:
        """Return the value of the metadata key `entity`."""
        fields: dict[str, object] = {"type": self.type, "id": self.id}
        return {**fields, "deleted": True} if self.deleted else fields


class EntityKey(NamedTuple):
    """What identifies an entity among those of all processes."""

    process: str
    type: str
    id: str


def entity_in(meta: Mapping[str, object]) -> Entity | None:
    """Return the entity that metadata name; None without one, or with one of another form.

    >>> entity_in({"entity": {"type": "agent", "id": "a", "deleted": True}})
    Entity(type='agent', id='a', deleted=True)
    >>> entity_in({"kind": "event"}) is None
    True
    """
    found = meta.get(ENTITY)
    if not isinstance(found, dict):
        return None
    fields = cast("dict[str, object]", found)
    kind, name = fields.get("type"), fields.get("id")
    if not isinstance(kind, str) or not isinstance(name, str):
        return None
    return Entity(kind, name, fields.get("deleted") is True)


def entity_of(record: Record) -> Entity | None:
    """Return the entity that a record is about; None if it is about none."""
    return entity_in(record.extra) if record.kind == "event" else None


class NewestEntities(Generic[_Value]):
    """Applies the merge rule: keeps the newest value of each entity that lives.

    Deleted entities are remembered too, the latest 10,000: an older record of one may
    follow from another file.

    >>> newest = NewestEntities()
    >>> newest.add("p", Entity("agent", "a"), 1, "first")
    >>> newest.add("p", Entity("agent", "a"), 2, "second")
    >>> list(newest.living())
    [(EntityKey(process='p', type='agent', id='a'), 'second')]
    >>> newest.add("p", Entity("agent", "a", deleted=True), 3, "gone")
    >>> newest.add("p", Entity("agent", "a"), 1, "first")
    >>> list(newest.living())
    []
    """

    def __init__(self) -> None:
        self._living: dict[EntityKey, tuple[int, _Value]] = {}
        self._deleted: dict[EntityKey, int] = {}

    def __len__(self) -> int:
        return len(self._living)

    def add(self, process: str, entity: Entity, seq: int, value: _Value) -> None:
        """Take one record.

        Args:
            process: The id of the process that wrote it.
            entity: What it is about.
            seq: Its number within the process.
            value: What is kept for it, such as its line.
        """
        key = EntityKey(process, entity.type, entity.id)
        known = self._living.get(key)
        if max(-1 if known is None else known[0], self._deleted.get(key, -1)) > seq:
            return
        if not entity.deleted:
            self._living[key] = seq, value
            return
        self._living.pop(key, None)
        self._deleted.pop(key, None)
        self._deleted[key] = seq
        if len(self._deleted) > _MAX_DELETED:
            del self._deleted[next(iter(self._deleted))]

    def update(self, other: NewestEntities[_Value]) -> None:
        """Take all that `other` has taken."""
        for key, seq in other._deleted.items():
            self.add(key.process, Entity(key.type, key.id, deleted=True), seq, cast("_Value", None))
        for key, (seq, value) in other._living.items():
            self.add(key.process, Entity(key.type, key.id), seq, value)

    def living(self) -> Iterator[tuple[EntityKey, _Value]]:
        """Yield the entities that live, in the order of their first record."""
        for key, (_, value) in self._living.items():
            yield key, value
