"""What is asked of one trace, or of two: its spans, details of them, analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.analysis.analyzer import TraceAnalyzer
from otel_ext.analysis.json_forms import ANALYSES, comparison_as_json
from otel_ext.server.api.live_trace import base_of, live_trace, winners
from otel_ext.server.security.answers import RequestError
from otel_ext.views.report_data import span_details

if TYPE_CHECKING:
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values
    from otel_ext.store.protocol import TraceSummary
    from otel_ext.store.stored import StoredTraces

__all__ = ["analysis", "comparison", "details", "span", "trace"]

# Of the spans that link to one, the newest.
_MOST_LINKING: Final = 100


def _summary_of(context: Context, trace_id: str) -> TraceSummary:
    """Return what is known of a trace.

    Raises:
        RequestError: There is no such trace.
    """
    found = context.store.summary(trace_id)
    if found is None:
        raise _no_trace()
    return found


def _trees_of(traces: StoredTraces, trace_id: str) -> list[TraceTree]:
    """Return the trees of a trace.

    Raises:
        RequestError: There is no such trace.
    """
    trees = traces.trees_of(trace_id)
    if not trees:
        raise _no_trace()
    return trees


def _no_trace() -> RequestError:
    hint = "It may have been deleted with its day; copy the id from the list of traces."
    return RequestError(404, "There is no such trace", hint=hint)


def trace(context: Context, values: Values) -> dict[str, object]:
    """Return the spans of a trace, or what changed of them."""
    found = _summary_of(context, values.text("trace_id"))
    after = values.number("after")
    return live_trace(context, found, after if after <= context.store.change() else 0)


def span(context: Context, values: Values) -> dict[str, object]:
    """Return all that is known of one span."""
    found = _summary_of(context, values.text("trace_id"))
    span_id = values.text("span_id")
    spans = context.store.spans_of(found.trace_id).spans
    own = winners([one for one in spans if one.span_id == span_id])
    if not own:
        hint = "Copy the id from the trace; a parent that is not recorded has no details."
        raise RequestError(404, "There is no such span in this trace", hint=hint)
    (winner,) = own
    line = context.store.lines_of([winner]).get((found.trace_id, span_id, winner.process))
    record = context.traces().records_of([winner]).get(winner.key)
    document: dict[str, object] = orjson.loads(span_details(record, base_of(found))) or {}
    document["record"] = orjson.loads(line) if line else {}
    document["linked_from"] = [
        {"trace_id": trace_id, "span_id": linking_id}
        for trace_id, linking_id in context.store.linking_to(*winner.key, _MOST_LINKING)
    ]
    return document


def details(context: Context, values: Values) -> bytes:
    """Return attributes, events and links of all spans of a trace."""
    found = _summary_of(context, values.text("trace_id"))
    base = base_of(found)
    spans = winners(context.store.spans_of(found.trace_id).spans)
    records = context.traces().records_of(spans)
    parts = (
        b'"' + one.span_id.encode() + b'":' + span_details(records[one.key], base)
        for one in spans
        if one.key in records
    )
    return b'{"details":{' + b",".join(parts) + b"}}"


def analysis(context: Context, values: Values) -> dict[str, object]:
    """Return one analysis of a trace."""
    name = values.text("analysis")
    traces = context.traces()
    analyzer = TraceAnalyzer(_trees_of(traces, values.text("trace_id")), traces.services)
    return {name.replace("-", "_"): ANALYSES[name](analyzer)}


def comparison(context: Context, values: Values) -> bytes:
    """Return what differs between two traces."""
    traces = context.traces()
    before, after = (
        TraceAnalyzer(_trees_of(traces, values.text(name)), traces.services) for name in ("a", "b")
    )
    return comparison_as_json(after.compared_with(before))
