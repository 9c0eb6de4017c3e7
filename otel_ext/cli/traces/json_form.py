"""Encodes traces as JSON: spans with their children in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns
from otel_ext.views.trace_view import shown_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_ext.views.rows import Row
    from otel_ext.views.trace_view import TraceView

__all__ = ["as_json"]


def as_json(traces: Iterable[tuple[TraceView, Sequence[Row]]]) -> bytes:
    """Return traces as one JSON object in UTF-8.

    Args:
        traces: What is known of each, and the rows to write.
    """
    return b'{"traces":[' + b",".join(_trace(view, rows) for view, rows in traces) + b"]}"


def _trace(view: TraceView, rows: Sequence[Row]) -> bytes:
    tree = view.tree
    head = orjson.dumps(
        {
            "trace_id": tree.trace_id,
            "start": format_ns(tree.start_ns),
            "repeated_ids": bool(tree.process),
        }
    )
    return b"".join((head[:-1], b',"spans":[', *_nested(view, rows), b"]}"))


def _nested(view: TraceView, rows: Sequence[Row]) -> Iterator[bytes]:
    """Yield the pieces of the list of roots; a span may be below thousands of others."""
    depth = -1
    for row in rows:
        closed = b"" if row.depth > depth else b"]}" * (depth - row.depth + 1) + b","
        depth = row.depth
        yield closed + _span(row, view)[:-1] + b',"children":['
    yield b"]}" * (depth + 1)


def _span(row: Row, view: TraceView) -> bytes:
    span = view.tree.spans[row.number]
    record, facts = view.records.get(span.key), view.processes.get(span.process)
    file, line, function = span.site
    status = None if record is None else record.status
    is_known = bool(line)
    return orjson.dumps(
        {
            "name": span.name,
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            "parent_span_id": span.parent_span_id or None,
            "state": shown_state(span, view.running),
            "start": format_ns(span.start_ns),
            "duration_ns": view.times.duration(row.number),
            "span_kind": span.kind,
            "status": status.code if status else None,
            "error": (record.error if record is not None else span.error) or None,
            "abandoned": record.abandoned if record is not None else None,
            "file": file if is_known else None,
            "line": line if is_known else None,
            "function": function if is_known else None,
            "process": {
                "id": span.process,
                "pid": facts.pid if facts else None,
                "service": (facts.service or None) if facts else None,
                "command": facts.command if facts else None,
            },
            "attributes": orjson.Fragment(encode_object(record.attributes if record else {})),
        }
    )
