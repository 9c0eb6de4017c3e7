"""The entities that a store has, such as registered agents and checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.record.decode import decode_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.entities import Entity

__all__ = ["StoredEntity"]


class StoredEntity(NamedTuple):
    """An entity that lives, such as a registered agent.

    Attributes:
        process: The id of its process.
        entity: Its type and id.
        seq: The number of its newest record within its process.
        time_ns: When that was written, nanoseconds since the epoch.
        line: The whole record.
        change: The number of the change that stored it.
    """

    process: str
    entity: Entity
    seq: int
    time_ns: int
    line: bytes
    change: int

    @property
    def attributes(self) -> Mapping[str, object]:
        """The user's data in the record."""
        return decode_attributes(self.line)
