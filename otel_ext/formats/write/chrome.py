"""Chrome's trace format, which Perfetto opens.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

An open span is an event that begins (`B`) and does not end. Times are counted from the first
start, which `otherData` has: microseconds since 1970 with a fraction are more than the numbers
of JSON's readers hold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.formats.write.lanes import lane_name, lanes_of
from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from otel_ext.analysis.traces.span import Lineage, Span
    from otel_ext.formats.write.lanes import Drawn
    from otel_ext.formats.write.written import TraceToWrite

__all__ = ["to_chrome"]

_MICROSECOND: Final = 1_000
# Later than every other: what starts after an open span is drawn within it.
_NO_END: Final = 2**63


def to_chrome(traces: Collection[TraceToWrite]) -> Iterator[bytes]:
    """Yield the pieces of one JSON document.

    A span is drawn on its thread or asyncio task. Those that overlap, but are not within each
    other, are on tracks beside, since a viewer leaves them out if they are on one.

    Args:
        traces: The traces; iterated twice.
    """
    drawn = lanes_of(traces, open_end=_NO_END)
    first = drawn[0].start if drawn else 0
    by_trace: dict[int, list[Drawn]] = {}
    for one in drawn:
        by_trace.setdefault(one.trace, []).append(one)
    yield b'{"displayTimeUnit":"ms",'
    if drawn:
        start = {"start": format_ns(first), "start_ns": str(first)}
        yield b'"otherData":%b,' % orjson.dumps(start)
    yield b'"traceEvents":[\n'
    tracks = _Tracks()
    separator = b""
    for number, trace in enumerate(traces):
        for one in by_trace.get(number, ()):
            for event in (*tracks.introduce(trace, one), _event(trace, one, first, tracks)):
                yield separator + event
                separator = b",\n"
    yield b"\n]}\n"


class _Tracks:
    """Numbers for processes and for what runs in them."""

    def __init__(self) -> None:
        self._processes: dict[str, int] = {}
        self._tracks: dict[tuple[Lineage, int], int] = {}

    def of(self, one: Drawn) -> tuple[int, int]:
        """Return the numbers of a span's process and track."""
        process = self._processes.setdefault(one.span.process, len(self._processes) + 1)
        key = one.span.lineage, one.lane
        return process, self._tracks.setdefault(key, len(self._tracks) + 1)

    def introduce(self, trace: TraceToWrite, one: Drawn) -> Iterator[bytes]:
        """Yield the names of a span's process and track, the first time."""
        span = one.span
        is_new_process = span.process not in self._processes
        is_new_track = (span.lineage, one.lane) not in self._tracks
        process, track = self.of(one)
        if is_new_process:
            yield _name("process_name", process, 0, trace.label(span))
        if is_new_track:
            name = lane_name(trace.track(span) or trace.label(span), one.lane)
            yield _name("thread_name", process, track, name)


def _name(kind: str, process: int, track: int, name: str) -> bytes:
    return orjson.dumps(
        {"ph": "M", "name": kind, "pid": process, "tid": track, "args": {"name": name}}
    )


def _event(trace: TraceToWrite, one: Drawn, first: int, tracks: _Tracks) -> bytes:
    process, track = tracks.of(one)
    span = one.span
    event: dict[str, object] = {
        "name": span.name,
        "cat": trace.service(span) or span.kind,
        "pid": process,
        "tid": track,
        "ts": _microseconds(one.start - first),
        "ph": "B" if span.is_open else "X",
        "args": orjson.Fragment(_arguments(trace, span)),
    }
    if not span.is_open:
        event["dur"] = _microseconds(one.end - one.start)
    return orjson.dumps(event)


def _microseconds(time_ns: int) -> float:
    """Return microseconds of which a reader gets the same nanoseconds, also if it cuts them.

    Perfetto cuts. A nanosecond less or more would make spans overlap that end together.

    >>> 1.001 * 1_000, _microseconds(1_001) * 1_000
    (1000.9999999999999, 1001.0000000000001)
    """
    value = time_ns / _MICROSECOND
    return value if int(value * _MICROSECOND) >= time_ns else math.nextafter(value, math.inf)


def _arguments(trace: TraceToWrite, span: Span) -> bytes:
    """Return attributes and ids as JSON, whatever the attributes are."""
    own = {"trace_id": span.trace_id, "span_id": span.span_id, "state": span.state}
    if span.error:
        own["error"] = span.error
    return encode_object({**trace.attributes(span), **{f"otel_ext.{k}": v for k, v in own.items()}})
