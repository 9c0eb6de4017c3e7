"""`Changes`: the events of one stream, made of what has changed since the last ones."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import orjson

from otel_ext.errors import StoreError
from otel_ext.server.api.info import info
from otel_ext.server.api.live_trace import live_trace
from otel_ext.server.api.logs import log_document
from otel_ext.server.api.running import running
from otel_ext.server.api.summaries import SummaryWriter
from otel_ext.store.finding import matches_of
from otel_ext.store.queries import LogQuery

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from otel_ext.analysis.traces.span import State
    from otel_ext.search.nodes import Node
    from otel_ext.server.api.context import Context

__all__ = ["Changes", "Wanted", "event"]

# Of more changes than a list shows only the newest are sent; the page asks for the list again.
_MOST_TRACES: Final = 200
_MOST_LOGS: Final = 500

# Its name and its data.
_Event = tuple[str, dict[str, object]]


class Wanted(NamedTuple):
    """What a client wants to see.

    Attributes:
        topics: Some of `routes.TOPICS`.
        trace_id: A trace whose changes are wanted; empty for none.
        node: A search, to which the traces of a list belong; None for all.
    """

    topics: Collection[str]
    trace_id: str = ""
    node: Node | None = None


def event(name: str, data: object, number: int = 0) -> bytes:
    r"""Return an event of a stream.

    Args:
        name: Its name.
        data: Its data.
        number: The number of the change; 0 for an event that is not to be resumed from.

    >>> event("hello", {"sequence": 7}, 7)
    b'event: hello\nid: 7\ndata: {"sequence":7}\n\n'
    """
    head = f"event: {name}\n" + (f"id: {number}\n" if number else "")
    return head.encode() + b"data: " + orjson.dumps(data) + b"\n\n"


class Changes:
    """Makes the events of one stream; runs on a thread, one call at a time.

    Args:
        context: What answers are made of.
        wanted: What the client wants to see.
        after: The last change that the client knows; 0 if it knows none.

    Attributes:
        change: The last change that was sent.
    """

    def __init__(self, context: Context, wanted: Wanted, after: int) -> None:
        self._context = context
        self._wanted = wanted
        self._running = b""
        current = context.store.change()
        is_known = 0 < after <= current
        self.change = after if is_known else current
        # The trace is sent as a whole first, unless the client has it.
        self._trace_change = after if is_known else 0
        # The states of its open spans when they were last sent: of a hang there is no record.
        self._states: Mapping[str, State] | None = None

    def hello(self) -> bytes:
        """Return the first event."""
        context = self._context
        document = {
            "sequence": self.change,
            "now_ns": str(context.now_ns()),
            "info": info(context),
        }
        return event("hello", document)

    def next(self) -> bytes:
        """Return what has changed since the last call, as events; empty if nothing has.

        Raises:
            StoreError: The store cannot be read now; the next call returns it.
        """
        current = self._context.store.change()
        if current < self.change:  # the store was made anew
            self.change = self._trace_change = 0
        before = self._trace_change, self._running, self._states
        try:
            found = list(self._events(current))
        except StoreError:
            self._trace_change, self._running, self._states = before
            raise
        # Only the last one has the number of the change: a client that loses the connection
        # between two of them gets both again.
        numbered = [at for at, (name, _) in enumerate(found) if name != "running"]
        numbers = dict.fromkeys(numbered, self.change)
        if numbered:
            numbers[numbered[-1]] = current
        self.change = current
        return b"".join(
            event(name, data, numbers.get(at, 0)) for at, (name, data) in enumerate(found)
        )

    def _events(self, current: int) -> Iterator[_Event]:
        wanted, after = self._wanted, self.change
        if wanted.trace_id:
            yield from self._trace(current)
        if current > after:
            if "traces" in wanted.topics:
                yield from self._traces(after)
            if "logs" in wanted.topics:
                yield from self._logs(after)
        if "running" in wanted.topics:
            yield from self._running_now()

    def _trace(self, current: int) -> Iterator[_Event]:
        seen, after = self._states_seen(), self._trace_change
        known = self._states
        differing = {one for one in seen if known is None or seen[one] != known.get(one, "running")}
        if after and current <= after and not differing:
            return
        trace = self._context.store.summary(self._wanted.trace_id)
        if trace is None:
            return  # it may come
        document = live_trace(self._context, trace, after, differing)
        spans = document["spans"]
        is_empty = not document["logs"] and not (isinstance(spans, dict) and spans["id"])
        if not is_empty or not after:
            yield "trace", document
        self._trace_change, self._states = current, seen

    def _states_seen(self) -> dict[str, State]:
        """Return the states in which the open spans of the trace are seen now, by their ids."""
        states = self._context.running.look().observed.states.items()
        wanted = self._wanted.trace_id
        return {span_id: state for (_, trace_id, span_id), state in states if trace_id == wanted}

    def _traces(self, after: int) -> Iterator[_Event]:
        context = self._context
        changed = context.store.changed_traces(after, _MOST_TRACES + 1)
        if not changed:
            return
        traces = context.traces()
        writer = SummaryWriter(traces.services, context.running.look(), context.now_ns())
        node = self._wanted.node
        found: list[dict[str, object]] = []
        for trace in changed[:_MOST_TRACES]:
            matches = None if node is None else matches_of(traces, node, trace.trace_id)
            if matches is None or matches:
                found.append(writer.write(trace, matches, len(matches or ())))
        more = len(changed) > _MOST_TRACES
        if found or more:
            yield "traces", {"traces": found, "more": more}

    def _logs(self, after: int) -> Iterator[_Event]:
        services = self._context.services()
        changed = self._context.store.logs(LogQuery(after_change=after))
        logs = [log_document(log, services) for log in islice(changed, _MOST_LOGS + 1)]
        if logs:
            yield "logs", {"logs": logs[:_MOST_LOGS], "more": len(logs) > _MOST_LOGS}

    def _running_now(self) -> Iterator[_Event]:
        document = running(self._context)
        facts = orjson.dumps(_without_times(document))
        if facts != self._running:
            self._running = facts
            yield "running", document


def _without_times(document: dict[str, object]) -> object:
    """Return what of a document does not change by time alone."""
    changing = {"now_ns", "sequence", "age_ns", "last_seen_ns"}

    def plain(value: object) -> object:
        if isinstance(value, dict):
            fields = cast("dict[str, object]", value)
            return {key: plain(one) for key, one in fields.items() if key not in changing}
        if isinstance(value, list):
            return [plain(one) for one in cast("list[object]", value)]
        return value

    return plain(document)
