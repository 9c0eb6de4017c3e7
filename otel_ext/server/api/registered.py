"""The registered agents of the processes that record into the folder, with what each does now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.record.entities import AGENT

if TYPE_CHECKING:
    from otel_ext.observe.entities import ObservedEntity
    from otel_ext.observe.snapshot import Snapshot

__all__ = ["registered_agents"]

_Json = dict[str, object]

_MOST: Final = 1_000


def registered_agents(snapshot: Snapshot) -> _Json:
    """Return the registered agents, the oldest first, and how many there are in all."""
    found = [one for one in snapshot.entities if one.entity.type == AGENT]
    return {"agents": [_agent(one) for one in found[:_MOST]], "agents_total": len(found)}


def _agent(one: ObservedEntity) -> _Json:
    span = one.span
    return {
        "id": one.entity.id,
        "process": one.process.id,
        "state": one.state,
        "registered_ns": str(one.record.time_ns),
        "age_ns": one.age_ns,
        "metadata": one.record.attributes,
        "trace_id": "" if span is None else span.record.trace_id,
        "span_id": "" if span is None else span.record.span_id,
        "span": "" if span is None else span.record.name,
        "span_age_ns": 0 if span is None else span.age_ns,
    }
