"""Which traces and logs are wanted of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_ext.search.nodes import Node

__all__ = ["LogQuery", "Order", "Place", "TraceQuery"]

Order: TypeAlias = Literal["newest", "oldest", "longest", "shortest"]

Place: TypeAlias = tuple[int, int]
"""Where a trace or a log stands in the order of all: its day, and its number within it."""


class TraceQuery(NamedTuple):
    """Which traces are wanted.

    Attributes:
        node: A search; None for all. A store may return traces in which nothing is found, but
            must return all others.
        since_ns: Only traces that started then or later, nanoseconds since the epoch.
        until_ns: Only traces that started before; None for no limit.
        order: Their order.
        agents_only: Whether only those of agents are wanted.
    """

    node: Node | None = None
    since_ns: int = 0
    until_ns: int | None = None
    order: Order = "newest"
    agents_only: bool = False


class LogQuery(NamedTuple):
    """Which logs are wanted.

    Attributes:
        text: A text in them; empty for any. A store may return others, too.
        trace_id: Only those of this trace; empty for all.
        levels: Only those of these levels; empty for all.
        since_ns: Only those written then or later, nanoseconds since the epoch.
        until_ns: Only those written before; None for no limit.
        before: Only those before this place; None for no limit.
        after_change: Only those that were stored by a later change.
    """

    text: str = ""
    trace_id: str = ""
    levels: Collection[str] = ()
    since_ns: int = 0
    until_ns: int | None = None
    before: Place | None = None
    after_change: int = 0
