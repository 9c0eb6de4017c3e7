"""Reads what registries announce in the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.events.deferred import deferred_events
from otel_ext.record.entities import entity_of
from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.record.model import Record

__all__ = ["about", "steps_of", "wait_for_steps"]


def about(records: Iterable[Record], name: str) -> list[Record]:
    """Return the event records about the entity called `name`."""
    found = [(record, entity_of(record)) for record in list(records)]
    return [record for record, entity in found if entity is not None and entity.id == name]


def steps_of(records: Iterable[Record], name: str) -> list[str]:
    """Return the names of these events, such as `agent.registered`."""
    return [record.name for record in about(records, name)]


def wait_for_steps(records: list[Record], name: str, *steps: str) -> list[Record]:
    """Wait until these steps of an entity are recorded, and return their records."""
    assert deferred_events().flush(30.0)
    wait_until(lambda: len(about(records, name)) >= len(steps), f"{steps} of {name} in {records}")
    found = about(records, name)
    assert [record.name for record in found] == list(steps)
    return found
