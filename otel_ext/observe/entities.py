"""The entities that the processes have now, such as registered agents and services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from otel_ext.record.entities import CHECKPOINT, NewestEntities, entity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.observe.processes import RunningProcess
    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.record.entities import Entity
    from otel_ext.record.model import Record

__all__ = ["ENTITY_STATES", "EntityState", "ObservedEntity", "observe_entities"]

EntityState = Literal["idle", "running", "stalled", "blocked", "hung", "lost"]
ENTITY_STATES: Final[tuple[EntityState, ...]] = (
    "idle",
    "running",
    "stalled",
    "blocked",
    "hung",
    "lost",
)
_BY_CONDITION: Final[Mapping[str, EntityState]] = {
    "dead": "lost",
    "silent": "lost",
    "hung": "hung",
    "stopped": "hung",
    "blocked": "blocked",
}


class ObservedEntity(NamedTuple):
    """One entity that lives, such as a registered agent.

    Attributes:
        entity: Its type and id.
        record: Its newest record; the attributes are its data.
        process: The process that it belongs to.
        span: The newest open span of the thread or task that owns it; None without one.
        state: That of its process, if that does not run; else that of the span, or `idle`. A
            checkpoint is never lost.
        age_ns: How old its newest record is, nanoseconds.
    """

    entity: Entity
    record: Record
    process: RunningProcess
    span: ObservedSpan | None
    state: EntityState
    age_ns: int


def observe_entities(
    found: Iterable[tuple[Record, RunningProcess]], spans: Iterable[ObservedSpan], now_ns: int
) -> tuple[ObservedEntity, ...]:
    """Return the entities, oldest first, each with what its owner does now.

    Args:
        found: Records about entities that live, some of them repeatedly, with their processes.
        spans: The open spans, oldest first.
        now_ns: The time of the snapshot.
    """
    newest: NewestEntities[tuple[Entity, Record, RunningProcess]] = NewestEntities()
    for record, process in found:
        entity = entity_of(record)
        if entity is not None:
            newest.add(process.id, entity, record.seq, (entity, record, process))
    spans_of = _spans_by_owner(spans)
    observed = [_observed(*one, spans_of, now_ns) for _, one in newest.living()]
    return tuple(sorted(observed, key=lambda one: one.record.time_ns))


def _spans_by_owner(spans: Iterable[ObservedSpan]) -> dict[tuple[str, str, int], ObservedSpan]:
    """Return the newest span of each thread and task of each process."""
    found: dict[tuple[str, str, int], ObservedSpan] = {}
    for span in spans:
        record, process = span.record, span.process.id
        if record.thread is not None:
            found[process, "thread", record.thread.id] = span
        if record.task is not None:
            found[process, "task", record.task.id] = span
    return found


def _observed(
    entity: Entity,
    record: Record,
    process: RunningProcess,
    spans: Mapping[tuple[str, str, int], ObservedSpan],
    now_ns: int,
) -> ObservedEntity:
    span = None
    if record.task is not None:
        span = spans.get((process.id, "task", record.task.id))
    elif record.thread is not None:
        span = spans.get((process.id, "thread", record.thread.id))
    age_ns = max(now_ns - record.time_ns, 0)
    of_span: EntityState = "idle" if span is None else span.state
    state = _BY_CONDITION.get(process.condition) or of_span
    if state == "lost" and entity.type == CHECKPOINT:
        # It outlives its process, and the span of its owner.
        return ObservedEntity(entity, record, process, span, "idle", age_ns)
    return ObservedEntity(entity, record, process, span, state, age_ns)
