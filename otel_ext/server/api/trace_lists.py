"""Lists of traces, and how many there were over time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from otel_ext.server.api.parameters import interval_in, place_in, place_text, wrong_cursor
from otel_ext.server.api.summaries import SummaryWriter
from otel_ext.store.finding import find_traces
from otel_ext.store.queries import TraceQuery

if TYPE_CHECKING:
    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values
    from otel_ext.store.queries import Order, Place

__all__ = ["ORDERS", "agents", "histogram", "traces"]

ORDERS: Final = ("newest", "oldest", "longest", "shortest")

_LIMIT: Final = 50
_SECONDS: Final = 2.0
_BUCKETS: Final = 60
_MOST_FOUND: Final = 2_000
# Where a list goes on that is not by time.
_SKIP: Final = re.compile(r"\+\d{1,9}", re.ASCII)


def traces(context: Context, values: Values, *, agents_only: bool = False) -> dict[str, object]:
    """Return a list of traces."""
    node, limit = values.search(), values.number("limit", _LIMIT)
    order = cast("Order", values.text("order", "newest"))
    is_by_time = order in {"newest", "oldest"}
    after, skip = _place(values.text("cursor"), is_by_time=is_by_time)
    query = TraceQuery(
        node,
        values.number("since"),
        values.number("until") if values.has("until") else None,
        order,
        agents_only,
    )
    sequence, look = context.store.change(), context.running.look()
    found = find_traces(
        context.store,
        query,
        look.observed,
        limit=limit,
        after=after,
        skip=skip,
        seconds=_SECONDS,
    )
    now_ns = context.now_ns()
    writer = SummaryWriter(context.services(), look, now_ns)
    following = None
    if found.last is not None:
        following = place_text(found.last) if is_by_time else f"+{found.looked}"
    searched_until = None
    if is_by_time and not found.is_complete and found.last_start_ns is not None:
        searched_until = str(found.last_start_ns)
    return {
        "traces": [
            writer.write(one.summary, None if node is None else one.matches, one.found)
            for one in found.traces
        ],
        "next": following,
        "searched_until_ns": searched_until,
        "sequence": sequence,
        "now_ns": str(now_ns),
    }


def agents(context: Context, values: Values) -> dict[str, object]:
    """Return a list of the traces of agents."""
    return traces(context, values, agents_only=True)


def _place(cursor: str, *, is_by_time: bool) -> tuple[Place | None, int]:
    """Return the place behind which a list goes on, and how many of its traces to skip."""
    if is_by_time or not cursor:
        return place_in(cursor), 0
    if _SKIP.fullmatch(cursor) is None:
        raise wrong_cursor()
    return None, int(cursor)


def histogram(context: Context, values: Values) -> dict[str, object]:
    """Return how many traces started in each of some equal intervals."""
    since, until = interval_in(values, context.now_ns())
    buckets = values.number("buckets", _BUCKETS)
    width = -(-(until - since) // buckets)
    counts, errors = [0] * buckets, [0] * buckets
    node = values.search()
    sampled = False
    if node is None:
        for one in context.store.slices(since, until, width):
            at = (one.start_ns - since) // width
            if 0 <= at < buckets:
                counts[at] += one.traces
                errors[at] += one.errors
    else:
        query = TraceQuery(node, since, until)
        found = find_traces(
            context.store, query, context.observed(), limit=_MOST_FOUND, seconds=_SECONDS
        )
        sampled = found.last is not None
        for trace in found.traces:
            at = (trace.summary.start_ns - since) // width
            counts[at] += 1
            errors[at] += trace.summary.errors > 0
    return {
        "from_ns": str(since),
        "to_ns": str(since + buckets * width),
        "width_ns": width,
        "traces": counts,
        "errors": errors,
        "sampled": sampled,
    }
