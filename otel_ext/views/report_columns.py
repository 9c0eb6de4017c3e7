"""Writes one trace of a report by column: each text once, times relative to a base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.analysis.self_time import self_times
from otel_ext.record.model import SPAN_KINDS
from otel_ext.record.sanitise.values import encode_object
from otel_ext.views.report_cut import kept_paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.analysis.critical_path import CriticalPath
    from otel_ext.analysis.traces.span import Span
    from otel_ext.formats.write.written import TraceToWrite
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record
    from otel_ext.views.report_cut import Cut

__all__ = ["RECORDED", "STATES", "ColumnWriter", "Texts"]

STATES: Final = (
    *("running", "stalled", "blocked", "hung", "lost", "open"),
    *("abandoned", "error", "cancelled", "ended", "missing"),
)
"""The states of spans, by their numbers in the document. `open`: it has no end, and nothing is
known of its process, so that it may run or not."""

RECORDED: Final = frozenset({"running", "stalled"})
"""The states that a record alone says of an open span; the others of open spans are observed."""


class Texts:
    """Numbers for texts: each text once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    def optional(self, text: str) -> int:
        """Return the number of a text; -1 for an empty one."""
        return self.number(text) if text else -1

    def all(self) -> list[str]:
        """Return the texts by their numbers."""
        return list(self._numbers)


class ColumnWriter:
    """Writes traces that share texts and processes.

    Args:
        base_ns: What times are relative to, nanoseconds since the epoch.
        where: As in `report_document`.

    Attributes:
        texts: The texts so far.
    """

    def __init__(self, base_ns: int, where: Mapping[SpanKey, str]) -> None:
        self.texts = Texts()
        self._base = base_ns
        self._where = where
        self._processes: dict[str, int] = {}
        self._process_states: dict[str, str] = {}

    def trace(
        self, trace: TraceToWrite, logs: Sequence[Record], note: str, found: Cut
    ) -> dict[str, object]:
        """Return a trace.

        Args:
            trace: The trace.
            logs: Its logs.
            note: What a reader has to know of it; may be empty.
            found: Which of its spans are kept.
        """
        tree, times, base, texts = trace.tree, trace.times, self._base, self.texts
        spans = [tree.spans[one] for one in found.kept]
        own = self_times(tree, times)
        place_of = {
            span.span_id: place for span, place in zip(tree.spans, found.place_of, strict=True)
        }
        parents = [tree.parents[one] for one in found.kept]
        return {
            "trace_id": tree.trace_id,
            "note": ". ".join(filter(None, (note, found.note))),
            "left_out": found.left_out,
            "spans": {
                "id": [span.span_id for span in spans],
                "parent": [-1 if one < 0 else found.place_of[one] for one in parents],
                "name": [texts.number(span.name) for span in spans],
                "state": [STATES.index(self._state(span)) for span in spans],
                "kind": [
                    SPAN_KINDS.index(span.kind) if span.kind in SPAN_KINDS else 0 for span in spans
                ],
                "process": [self._process(span) for span in spans],
                "start": [times.starts[one] - base for one in found.kept],
                "end": [
                    None if span.is_open else times.ends[one] - base
                    for span, one in zip(spans, found.kept, strict=True)
                ],
                "until": [times.ends[one] - base for one in found.kept],
                "self": [own[one] for one in found.kept],
                "error": [texts.optional(span.error) for span in spans],
                "file": [texts.optional(span.site[0] if span.site[1] else "") for span in spans],
                "line": [span.site[1] for span in spans],
                "function": [
                    texts.optional(span.site[2] if span.site[1] else "") for span in spans
                ],
                "cause": [texts.optional(_cause(trace.records.get(one.key))) for one in spans],
                "where": [
                    texts.optional(self._where.get(span.key, "") if span.is_open else "")
                    for span in spans
                ],
            },
            "paths": [self._path(path) for path in kept_paths(tree, times, found)],
            "logs": [self._log(log, place_of) for log in logs],
        }

    def processes(self, names: Mapping[str, object]) -> list[dict[str, object]]:
        """Return the processes of the traces so far.

        Args:
            names: The name of each, by its id.
        """
        return [
            {
                "id": self.texts.number(process),
                "label": self.texts.number(str(getattr(names.get(process), "label", process))),
                "service": self.texts.number(str(getattr(names.get(process), "service", ""))),
                "state": self._process_states.get(process, "unknown"),
            }
            for process in self._processes
        ]

    def _state(self, span: Span) -> str:
        is_known = span.state not in RECORDED or span.key in self._where
        return span.state if is_known or not span.is_open else "open"

    def _process(self, span: Span) -> int:
        """Return the number of a span's process, and note what the span shows of its state."""
        if span.state == "missing":
            return -1
        if span.is_open and self._state(span) != "open":
            state = "lost" if span.state == "lost" else "alive"
            if self._process_states.get(span.process) != "lost":
                self._process_states[span.process] = state
        return self._processes.setdefault(span.process, len(self._processes))

    def _path(self, path: CriticalPath) -> dict[str, object]:
        return {
            "root": path.root,
            "lower_bound": path.is_lower_bound,
            "segments": [
                (
                    segment.span,
                    segment.start_ns - self._base,
                    segment.end_ns - self._base,
                    segment.beside,
                    int(segment.is_inferred),
                )
                for segment in path.segments
            ],
        }

    def _log(self, log: Record, place_of: Mapping[str, int]) -> Sequence[int]:
        attributes = encode_object(log.attributes).decode() if log.attributes else ""
        return (
            place_of.get(log.span_id, -1),
            log.time_ns - self._base,
            self.texts.number(log.level or "event"),
            self.texts.number(log.name),
            self.texts.optional(attributes),
        )


def _cause(record: Record | None) -> str:
    return "" if record is None else record.abandoned or ""
