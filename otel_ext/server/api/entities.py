"""What lives in the processes: registered agents, services, checkpoints and others.

Of processes that record into the folder it is seen live, of others it is what they have sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import RecordError
from otel_ext.journal.read.incarnations import base_id
from otel_ext.observe.location import Frame, opened_at
from otel_ext.record.decode import decode_line
from otel_ext.record.entities import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_ext.analysis.traces.span import Span
    from otel_ext.observe.entities import EntityState, ObservedEntity
    from otel_ext.observe.process_names import ProcessName
    from otel_ext.record.model import Record
    from otel_ext.server.api.context import Context
    from otel_ext.server.api.heard import Heard
    from otel_ext.server.api.parameters import Values
    from otel_ext.server.api.running_now import Look
    from otel_ext.store.entities import StoredEntity

__all__ = ["entities", "living"]

_Json = dict[str, object]
_Owner = tuple[str, str, int]

_LIMIT: Final = 1_000


class _Work(NamedTuple):
    """The span that the owner of an entity works on."""

    trace_id: str = ""
    span_id: str = ""
    name: str = ""
    age_ns: int = 0
    where: str = ""


_NONE: Final = _Work()


def entities(context: Context, values: Values) -> _Json:
    """Return the entities that live, the oldest first."""
    found = living(context, context.running.look(), values.text("type"))
    process = values.text("process")
    if process:
        found = [one for one in found if one["process"] == process]
    return {
        "now_ns": str(context.now_ns()),
        "entities": found[: values.number("limit", _LIMIT)],
        "total": len(found),
    }


def living(context: Context, look: Look, kind: str = "") -> list[_Json]:
    """Return the entities that live, the oldest first.

    Args:
        context: What the answers are made from.
        look: What is known of the processes.
        kind: Only entities of this type; empty for all.
    """
    names = context.processes()
    found = [_seen(one, names) for one in look.snapshot.entities if kind in {"", one.entity.type}]
    # Of processes that are seen the store knows nothing else.
    if look.heard.processes or kind in {"", CHECKPOINT}:
        found += _stored(context, look, kind, names)
    found.sort(key=lambda one: (int(str(one["recorded_ns"])), str(one["id"])))
    return found


def _seen(one: ObservedEntity, names: Mapping[str, ProcessName]) -> _Json:
    """Return an entity of a process that records into the folder."""
    work, span = _NONE, one.span
    if span is not None:
        where = str(span.location.frame) if span.location.is_now else ""
        record = span.record
        work = _Work(record.trace_id, record.span_id, record.name, span.age_ns, where)
    name = names.get(one.record.process.id)
    service = name.service if name is not None else one.process.service
    return {
        "type": one.entity.type,
        "id": one.entity.id,
        "process": one.process.id,
        "service": service,
        "source": "folder",
        **_state(one.state, one.record, one.age_ns, work),
    }


def _state(state: EntityState, record: Record, age_ns: int, work: _Work) -> _Json:
    return {
        "state": state,
        "recorded_ns": str(record.time_ns),
        "age_ns": age_ns,
        "made_at": str(opened_at(record)),
        "trace_id": work.trace_id,
        "span_id": work.span_id,
        "span": work.name,
        "span_age_ns": work.age_ns,
        "where": work.where,
        "attributes": record.attributes,
    }


def _stored(
    context: Context, look: Look, kind: str, names: Mapping[str, ProcessName]
) -> Iterator[_Json]:
    """Yield the entities of processes that are not seen, but were heard of."""
    now_ns, spans = context.now_ns(), _newest_by_owner(look.heard)
    seen = {process.id for process in look.snapshot.processes}
    for one in context.store.entities(kind):
        incarnation = base_id(one.process)
        # What has ended in the folder may not be stored as ended yet.
        has_ended = incarnation in look.recorded and one.entity.type != CHECKPOINT
        if incarnation in seen or has_ended:
            continue
        try:
            record = decode_line(one.line)
        except RecordError:
            continue
        name = names.get(one.process)
        work = _work_on(spans.get(_owner_of(record)), now_ns)
        yield {
            "type": one.entity.type,
            "id": one.entity.id,
            "process": one.process,
            "service": "" if name is None else name.service,
            "source": "folder" if incarnation in look.recorded else "received",
            **_state(
                _heard_state(one, work, look.heard), record, max(now_ns - one.time_ns, 0), work
            ),
        }


def _heard_state(one: StoredEntity, work: _Work, heard: Heard) -> EntityState:
    """Return the state of an entity of a process that only sends."""
    if one.entity.type == CHECKPOINT:
        return "idle"
    if heard.conditions.get(one.process) != "alive":
        return "lost"
    return "running" if work.span_id else "idle"


def _newest_by_owner(heard: Heard) -> dict[_Owner, Span]:
    """Return the newest span that was heard of each thread and task."""
    found: dict[_Owner, Span] = {}
    for span in heard.spans:  # the oldest first
        _, thread, task, _ = span.lineage
        found[span.process, "task" if task else "thread", task or thread] = span
    return found


def _owner_of(record: Record) -> _Owner:
    if record.task is not None:
        return record.process.id, "task", record.task.id
    return record.process.id, "thread", 0 if record.thread is None else record.thread.id


def _work_on(span: Span | None, now_ns: int) -> _Work:
    if span is None:
        return _NONE
    file, line, function = span.site
    where = str(Frame(file, line, function)) if line else ""
    age_ns = max(now_ns - span.start_ns, 0)
    return _Work(span.trace_id, span.span_id, span.name, age_ns, where)
