"""What runs now, and the processes: those that record into the folder, and those that send."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, cast

import orjson

from otel_ext.journal.read.incarnations import base_id
from otel_ext.observe.location import Frame, opened_at
from otel_ext.observe.process_names import ProcessName
from otel_ext.record.entities import AGENT
from otel_ext.record.model import META_KEY
from otel_ext.runtime.process.records import process_from
from otel_ext.server.api.entities import living
from otel_ext.server.api.heard import condition_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from otel_ext.analysis.traces.span import Span
    from otel_ext.observe.processes import RunningProcess
    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.server.api.context import Context
    from otel_ext.server.api.heard import Heard
    from otel_ext.server.api.parameters import Values
    from otel_ext.server.api.running_now import Look
    from otel_ext.store.protocol import StoredProcess

__all__ = ["processes", "running"]

_Json = dict[str, object]

_MOST_SPANS: Final = 1_000
_MOST_AGENTS: Final = 1_000


def running(context: Context, _: Values | None = None) -> _Json:
    """Return the open spans of all processes that may run, the oldest first."""
    return _running(context, context.running.look())


def _running(context: Context, look: Look) -> _Json:
    sequence, now_ns = context.store.change(), context.now_ns()
    names = context.processes()
    heard = look.heard
    spans = [
        *(_observed(one, names) for one in look.snapshot.spans),
        *(_received(one, heard, names, now_ns) for one in heard.spans),
    ]
    spans.sort(key=lambda one: int(str(one["start_ns"])))
    _add_depths(spans)
    open_spans = Counter(one["process"] for one in spans)
    stalled = Counter(one["process"] for one in spans if one["state"] == "stalled")
    agents = living(context, look, AGENT)
    known = [
        *map(_process_seen, look.snapshot.processes),
        *(_process_stored(one, look.recorded, now_ns) for one in heard.processes.values()),
    ]
    for process in known:
        name = process["id"]
        process |= {"open": open_spans[name], "stalled": stalled[name]}
    return {
        "now_ns": str(now_ns),
        "sequence": sequence,
        "spans": spans[:_MOST_SPANS],
        "total": len(spans),
        "processes": known,
        "agents": agents[:_MOST_AGENTS],
        "agents_total": len(agents),
    }


def processes(context: Context, values: Values) -> _Json:
    """Return the processes: those that may run, or all."""
    look = context.running.look()
    known = cast("list[_Json]", _running(context, look)["processes"])
    if values.flag("all"):
        seen = {one["id"] for one in known}
        now_ns = context.now_ns()
        known += [
            _process_stored(one, look.recorded, now_ns)
            for one in context.store.processes()
            if one.id not in seen
        ]
    return {"processes": known}


def _observed(one: ObservedSpan, names: Mapping[str, ProcessName]) -> _Json:
    record = one.record
    thread, task = record.thread, record.task
    name = names.get(record.process.id)
    return {
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id,
        "name": record.name,
        "service": name.service if name is not None else one.process.service,
        "process": one.process.id,
        "state": one.state,
        "start_ns": str(one.start_ns),
        "age_ns": one.age_ns,
        "where": str(one.location.frame) if one.location.is_now else "",
        "opened_at": str(opened_at(record)),
        "root": not record.parent_span_id,
        "thread": thread.name if thread is not None else "",
        "task": task.name if task is not None else "",
        "depth": 0,
    }


def _received(span: Span, heard: Heard, names: Mapping[str, ProcessName], now_ns: int) -> _Json:
    state = heard.state_of(span)
    file, line, function = span.site
    name = names.get(span.process)
    until_ns = heard.processes[span.process].seen_ns if state == "lost" else now_ns
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "name": span.name,
        "service": name.service if name is not None else "",
        "process": span.process,
        "state": state,
        "start_ns": str(span.start_ns),
        "age_ns": max(until_ns - span.start_ns, 0),
        "where": "",
        "opened_at": str(Frame(file, line, function)) if line else "",
        "root": not span.parent_span_id,
        "thread": str(span.lineage[1] or ""),
        "task": span.lineage[3],
        "depth": 0,
    }


def _add_depths(spans: Iterable[_Json]) -> None:
    """Note how many spans of those that run are above each."""
    depths: dict[tuple[object, object], int] = {}
    for one in spans:  # by start, so parents first
        above = depths.get((one["trace_id"], one["parent_span_id"]), -1)
        depths[one["trace_id"], one["span_id"]] = one["depth"] = above + 1


def _process_seen(process: RunningProcess) -> _Json:
    return {
        "id": process.id,
        "label": process.label,
        "service": process.service,
        "pid": process.pid or None,
        "host": process.host,
        "command": process.command,
        "condition": process.condition,
        "last_seen_ns": str(process.last_seen_ns) if process.last_seen_ns else None,
        "open": 0,
        "stalled": 0,
        "dropped": process.dropped,
        "source": "folder",
    }


def _process_stored(process: StoredProcess, recorded: Collection[str], now_ns: int) -> _Json:
    meta: dict[str, object] = {}
    if process.start:
        meta = orjson.loads(process.start)[META_KEY]
    name = ProcessName.from_start(meta)
    return {
        "id": process.id,
        "label": name.label or process.id,
        "service": name.service,
        "pid": name.pid or None,
        "host": process_from(process.id, meta).host,
        "command": name.command,
        "condition": condition_of(process, now_ns),
        "last_seen_ns": str(process.seen_ns),
        "open": 0,
        "stalled": 0,
        "dropped": process.dropped,
        "source": "folder" if base_id(process.id) in recorded else "received",
    }
