"""The format of speedscope (https://www.speedscope.app/file-format-schema.json).

Its events need an end: an open span ends at the latest time that is known, and its name says
that it is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from otel_ext.formats.write.lanes import lane_name, lanes_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.analysis.traces.span import Lineage, Span
    from otel_ext.formats.write.lanes import Drawn
    from otel_ext.formats.write.written import TraceToWrite

__all__ = ["to_speedscope"]

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"

_Frame = tuple[str, str, int]


def to_speedscope(traces: Iterable[TraceToWrite], name: str) -> bytes:
    """Return one JSON document with a profile for each thread and task.

    Spans that overlap, but are not within each other, come into profiles beside.

    Args:
        traces: The traces.
        name: The document's name.
    """
    traces = list(traces)
    frames: dict[_Frame, int] = {}
    profiles: dict[tuple[Lineage, int], list[Drawn]] = {}
    for one in lanes_of(traces):
        profiles.setdefault((one.span.lineage, one.lane), []).append(one)
    document = {
        "$schema": _SCHEMA,
        "name": name,
        "exporter": "otel-ext",
        "profiles": [
            _profile(_label(traces[spans[0].trace], spans[0]), spans, frames)
            for spans in profiles.values()
        ],
        "shared": {
            "frames": [
                {"name": frame, **({"file": file, "line": line} if line else {})}
                for frame, file, line in frames
            ]
        },
    }
    return orjson.dumps(document)


def _label(trace: TraceToWrite, one: Drawn) -> str:
    """Return the name of a span's process and that of its track."""
    return lane_name(f"{trace.label(one.span)} {trace.track(one.span)}".rstrip(), one.lane)


def _profile(name: str, spans: list[Drawn], frames: dict[_Frame, int]) -> dict[str, object]:
    """Return one stack as it opens and closes.

    Args:
        name: The profile's name.
        spans: Its spans, by their starts.
        frames: The numbers of the frames; new ones are added.
    """
    base = spans[0].start
    events: list[dict[str, object]] = []
    stack: list[tuple[int, int]] = []

    def close() -> int:
        frame, end = stack.pop()
        events.append({"type": "C", "frame": frame, "at": end - base})
        return end - base

    for one in spans:
        while stack and stack[-1][1] <= one.start:
            close()
        frame = frames.setdefault(_frame(one.span), len(frames))
        events.append({"type": "O", "frame": frame, "at": one.start - base})
        stack.append((frame, one.end))
    last = 0
    while stack:
        last = close()
    return {
        "type": "evented",
        "name": name,
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": last,
        "events": events,
    }


def _frame(span: Span) -> _Frame:
    file, line, _ = span.site
    return f"{span.name} (open)" if span.is_open else span.name, file, line
