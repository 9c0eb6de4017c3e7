"""`ServerSource`: asks a server for traces; its documents become what a folder gives."""

from __future__ import annotations

from contextlib import suppress
from time import time_ns
from typing import TYPE_CHECKING, Final, cast

import orjson

from otel_ext.errors import RecordError, UsageError
from otel_ext.mcp.sources.client import rows_in
from otel_ext.mcp.sources.live_trace import trace_of
from otel_ext.mcp.sources.source import (
    ErrorLine,
    Listing,
    ProcessNow,
    Running,
    RunningSpan,
    TraceLine,
)
from otel_ext.mcp.sources.summaries import MOST_MATCHES, merged_errors
from otel_ext.record.decode import decode_line
from otel_ext.record.model import EMPTY, Process, Record
from otel_ext.search.found import SearchedTree, needs_attributes, needs_logs
from otel_ext.search.parse import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.mcp.sources.client import Document, ServerClient
    from otel_ext.mcp.sources.source import ListQuery, Trace
    from otel_ext.search.nodes import Node

__all__ = ["ServerSource"]

_MOST_ERRORS: Final = 200
_MOST_LOGS: Final = 1_000
# So many pages of logs at most are asked for.
_MOST_PAGES: Final = 20


class ServerSource:
    """Asks a server.

    Args:
        client: Asks it.
    """

    def __init__(self, client: ServerClient) -> None:
        self._client = client

    def about(self) -> str:
        """Return what is read, as a few words."""
        return f"the server {self._client.address}"

    def running(self) -> Running:
        """Return what runs now."""
        document = self._client.get("running")
        processes = [
            ProcessNow(
                _text(one, "id"),
                _text(one, "label"),
                _text(one, "condition"),
                _number(one, "last_seen_ns"),
                _number(one, "dropped"),
            )
            for one in rows_in(document, "processes")
        ]
        spans = [
            RunningSpan(
                _text(one, "trace_id"),
                _text(one, "span_id"),
                _text(one, "parent_span_id"),
                _text(one, "name"),
                _text(one, "process"),
                _text(one, "state"),
                _number(one, "start_ns"),
                _number(one, "age_ns"),
                _text(one, "where"),
                _text(one, "opened_at"),
            )
            for one in rows_in(document, "spans")
        ]
        return Running(spans, _number(document, "total"), processes, _number(document, "now_ns"))

    def traces(self, query: ListQuery) -> Listing:
        """Return some traces."""
        document = self._client.get(
            "traces",
            q=query.search,
            since=query.since_ns,
            order=query.order,
            limit=query.limit,
            cursor=query.cursor,
        )
        found = [
            TraceLine(
                _text(one, "trace_id"),
                _number(one, "start_ns"),
                _number(one, "duration_ns"),
                _text(one, "name"),
                _text(one, "service"),
                _text(one, "state"),
                _number(one, "spans"),
                _number(one, "open"),
                _number(one, "errors"),
                _number(one, "match_count") if "matches" in one else None,
                _texts(one, "matches")[:MOST_MATCHES],
            )
            for one in rows_in(document, "traces")
        ]
        return Listing(found, _text(document, "next"), _number(document, "searched_until_ns"))

    def trace(self, trace_id: str, search: str = "") -> Trace:
        """Return one trace, and what a search finds in it; an empty text is no search."""
        trace = trace_of(trace_id, self._client.get("traces", trace_id), self._client.address)
        if not search.strip():
            return trace
        node = parse(search)
        return trace._replace(
            matches=[self._matches(tree, node, trace.services) for tree in trace.trees]
        )

    def records(self, trace_id: str, span_id: str) -> Sequence[Record]:
        """Return the whole record of a span."""
        document = self._client.get("traces", trace_id, "spans", span_id)
        with suppress(RecordError):
            return [decode_line(orjson.dumps(document.get("record")))]
        return []

    def _matches(self, tree: TraceTree, node: Node, services: Mapping[str, str]) -> set[int]:
        """Return the numbers of the spans that a search finds."""
        details: Mapping[str, object] = EMPTY
        logs: dict[str, list[tuple[str, str]]] = {}
        if needs_attributes(node):
            answer = self._client.get("traces", tree.trace_id, "details")
            details = _object(answer.get("details"))
        if needs_logs(node):
            for log in self.logs(tree.trace_id, ""):
                logs.setdefault(log.span_id, []).append((log.level or "event", log.name))
        ids = [span.span_id for span in tree.spans]
        attributes = [_attributes(details.get(one)) for one in ids]
        texts = [logs.get(one, ()) for one in ids]
        searched = SearchedTree(
            tree, services, attributes.__getitem__, texts.__getitem__, now_ns=time_ns()
        )
        return searched.find(node)

    def errors(self, since_ns: int) -> Sequence[ErrorLine]:
        """Return errors since a time by operation and text; the most frequent first."""
        document = self._client.get("errors", since=since_ns, limit=_MOST_ERRORS)
        return merged_errors(
            ErrorLine(
                _text(one, "service"),
                _text(one, "name"),
                ": ".join(filter(None, (_text(one, "type"), _text(one, "text")))),
                _number(one, "count"),
                _text(one, "place"),
                _number(one, "last_ns"),
                _text(one, "trace_id"),
                _text(one, "span_id"),
            )
            for one in rows_in(document, "errors")
        )

    def logs(self, trace_id: str, span_id: str) -> Sequence[Record]:
        """Return the logs and events of a trace by time, or those of one of its spans.

        Raises:
            UsageError: There is no such trace, or it has too many logs.
        """
        found: list[Record] = []
        cursor = ""
        for _ in range(_MOST_PAGES):
            document = self._client.get(
                "logs", trace_id=trace_id, span_id=span_id, limit=_MOST_LOGS, cursor=cursor
            )
            found += map(_log, rows_in(document, "logs"))
            cursor = _text(document, "next")
            if not cursor:
                break
        else:
            hint = "Name a span by span_id"
            raise UsageError(f"there are more than {len(found):,} logs", hint=hint)
        if not found:
            self._client.get("traces", trace_id)  # an error if there is no such trace
        return sorted(found, key=lambda log: log.time_ns)


def _log(one: Document) -> Record:
    return Record(
        "event" if one.get("kind") == "event" else "log",
        None,
        _text(one, "text"),
        _number(one, "time_ns"),
        0,
        Process("server"),
        attributes=_object(one.get("attributes")),
        trace_id=_text(one, "trace_id"),
        span_id=_text(one, "span_id"),
        level=_text(one, "level"),
    )


def _attributes(details: object) -> Mapping[str, object]:
    return _object(_object(details).get("attributes"))


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        return EMPTY
    return cast("dict[str, object]", value)


def _text(document: Document, name: str) -> str:
    found = document.get(name)
    return found if isinstance(found, str) else ""


def _texts(document: Document, name: str) -> list[str]:
    found = document.get(name)
    return [str(one) for one in cast("list[object]", found)] if isinstance(found, list) else []


def _number(document: Document, name: str) -> int:
    """Return a whole number, which may be written as a text; 0 without one."""
    with suppress(TypeError, ValueError):
        return int(document.get(name) or 0)  # type: ignore[call-overload,no-any-return]
    return 0
