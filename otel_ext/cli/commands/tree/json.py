"""Encodes traces as JSON, for `otel-ext tree --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from otel_ext.cli.commands.tree.lines import state_of
from otel_ext.observe.location import opened_at
from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.cli.commands.tree.forest import Node, Trace
    from otel_ext.observe.process_names import ProcessName
    from otel_ext.observe.snapshot import ObservedSpan
    from otel_ext.record.merge import SpanKey

__all__ = ["as_json"]


def as_json(
    traces: Iterable[Trace],
    running: Mapping[SpanKey, ObservedSpan],
    processes: Mapping[str, ProcessName],
    depth: int = 0,
) -> bytes:
    """Return the traces as one JSON object in UTF-8, with `depth` levels of spans (0: all)."""
    document = [
        {
            "trace_id": trace.trace_id,
            "start": format_ns(trace.start_ns),
            "repeated_ids": bool(trace.process),
            "spans": [
                _span(node, running, processes)
                for node in trace.nodes
                if not depth or node.depth < depth
            ],
        }
        for trace in traces
    ]
    return orjson.dumps({"traces": document}, option=orjson.OPT_INDENT_2)


def _span(
    node: Node, running: Mapping[SpanKey, ObservedSpan], processes: Mapping[str, ProcessName]
) -> dict[str, object]:
    record = node.record
    one = running.get(record.key)
    is_over = record.phase == "end"
    facts = processes.get(record.process.id)
    status = record.status
    return {
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id or None,
        "depth": node.depth,
        "name": record.name,
        "span_kind": record.span_kind or None,
        "state": state_of(record, running),
        "status": status.code if status else None,
        "error": record.error or None,
        "cancelled": record.is_cancelled,
        "start": format_ns(record.started_ns),
        "duration_ns": record.time_ns - record.start_ns if is_over else one.age_ns if one else None,
        **opened_at(record).as_dict(),
        "process": {
            "id": record.process.id,
            "pid": facts.pid if facts else None,
            "service": (facts.service or None) if facts else None,
            "command": facts.command if facts else None,
        },
        "attributes": orjson.Fragment(encode_object(record.attributes)),
    }
