"""The document that the report and the viewer show: traces by column, each text once.

`viewer/src/data/contract.ts` describes it. Times are relative to its base, since a number
of JavaScript cannot hold nanoseconds since the epoch.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from time import localtime, time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from otel_ext.record.sanitise.values import encode_object
from otel_ext.views.report_columns import STATES, ColumnWriter
from otel_ext.views.report_cut import Cut, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.formats.write.written import TraceToWrite
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["STATES", "LoggedTrace", "local_zone", "report_document", "span_details"]

_FORMAT: Final = "otel-ext-traces"
_VERSION: Final = 1
_NOWHERE: Final[Mapping[SpanKey, str]] = MappingProxyType({})


class LoggedTrace(NamedTuple):
    """A trace with its logs.

    Attributes:
        trace: The trace, with the records of the spans that are kept.
        logs: Its logs and events, by time.
        note: What a reader has to know of it; may be empty.
        kept: Which of its spans are kept; None keeps all.
    """

    trace: TraceToWrite
    logs: Sequence[Record]
    note: str = ""
    kept: Cut | None = None


def report_document(
    traces: Sequence[LoggedTrace],
    now_ns: int | None = None,
    *,
    where: Mapping[SpanKey, str] = _NOWHERE,
    note: str = "",
    written_ns: int | None = None,
) -> bytes:
    """Return the document as JSON.

    Args:
        traces: The traces, at least one.
        now_ns: The writer's time while traces are live, nanoseconds since the epoch.
        where: Where each open span of an observed process is now; empty if that is unknown.
            Other open spans are shown as open, since it is not known whether they run.
        note: What a reader has to know of all traces; may be empty.
        written_ns: When it is written, nanoseconds since the epoch; now by default.
    """
    base = min(min(one.trace.times.starts) for one in traces)
    writer = ColumnWriter(base, where)
    written: list[dict[str, object]] = []
    chunks: dict[str, str] = {}
    for number, one in enumerate(traces):
        tree = one.trace.tree
        kept = cut(tree, len(tree.spans)) if one.kept is None else one.kept
        chunk = f"chunk-{number}"
        chunks[chunk] = _details(one.trace, kept, base)
        entry = writer.trace(one.trace, one.logs, one.note, kept)
        written.append({**entry, "details": chunk})
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "base_ns": str(base),
        "now_ns": None if now_ns is None else now_ns - base,
        "written_ns": (time_ns() if written_ns is None else written_ns) - base,
        "zone": local_zone(),
        "note": note,
        "processes": writer.processes(traces[0].trace.processes),
        "traces": written,
        "chunks": chunks,
        "strings": writer.texts.all(),
    }
    return orjson.dumps(document)


def local_zone() -> str:
    """Return the offset of this machine's local time, such as `+02:00`."""
    minutes = (localtime().tm_gmtoff or 0) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _details(trace: TraceToWrite, kept: Cut, base: int) -> str:
    """Return the attributes, events and links of each kept span, compressed."""
    spans = trace.tree.spans
    lines = [span_details(trace.records.get(spans[one].key), base) for one in kept.kept]
    return b64encode(gzip.compress(b"[" + b",".join(lines) + b"]", mtime=0)).decode()


def span_details(record: Record | None, base: int) -> bytes:
    """Return attributes, events and links of a record as JSON; `null` without a record.

    Args:
        record: The record.
        base: What times of events are relative to, nanoseconds since the epoch.
    """
    if record is None:
        return b"null"
    return orjson.dumps(
        {
            "attributes": orjson.Fragment(encode_object(record.attributes)),
            "events": [
                {
                    "name": event.name,
                    "time": event.time_ns - base,
                    "attributes": orjson.Fragment(encode_object(event.attributes)),
                }
                for event in record.events
            ],
            "links": [
                {
                    "trace_id": link.trace_id,
                    "span_id": link.span_id,
                    "attributes": orjson.Fragment(encode_object(link.attributes)),
                }
                for link in record.links
            ],
        }
    )
