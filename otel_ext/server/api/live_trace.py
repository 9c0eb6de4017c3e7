"""The spans and logs of one trace that changed, by column, each text once.

`viewer/src/live/traceAnswer.ts` describes the document. Times are relative to its base, which is
the same in all documents of a trace.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from otel_ext.record.decode import decode_line
from otel_ext.record.model import SPAN_KINDS
from otel_ext.record.sanitise.values import encode_object
from otel_ext.server.api.parameters import place_text
from otel_ext.server.api.running_now import is_since
from otel_ext.store.queries import LogQuery
from otel_ext.store.sqlite.days import start_of
from otel_ext.views.report_columns import RECORDED, STATES, Texts
from otel_ext.views.report_data import local_zone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from otel_ext.analysis.traces.forest import Observed
    from otel_ext.analysis.traces.span import Span
    from otel_ext.observe.process_names import ProcessName
    from otel_ext.server.api.context import Context
    from otel_ext.server.api.running_now import Look
    from otel_ext.store.protocol import Store, StoredLog, TraceSummary

__all__ = ["base_of", "live_trace", "winners"]

_FORMAT: Final = "otel-ext-live-trace"
_VERSION: Final = 1
_MOST_LOGS: Final = 10_000
_MOST_CAUSES: Final = 1_000
_REPEATED: Final = (
    "Several processes use this trace id for different spans; of spans with the same id one is"
    " shown"
)
_STATES: Final = {state: number for number, state in enumerate(STATES)}
_KINDS: Final = {kind: number for number, kind in enumerate(SPAN_KINDS)}
# The words for the conditions of processes.
_WORDS: Final = {
    "alive": "alive",
    "blocked": "hung",
    "hung": "hung",
    "stopped": "hung",
    "dead": "lost",
    "silent": "lost",
}


def live_trace(
    context: Context, trace: TraceSummary, after: int = 0, also: Collection[str] = ()
) -> dict[str, object]:
    """Return what changed in a trace after a change.

    Args:
        context: What answers are made of.
        trace: The trace.
        after: The number of the change; 0 for the whole trace.
        also: The ids of spans that are wanted even if nothing new is stored of them.
    """
    store, look = context.store, context.running.look()
    # Before the rest is read: what changes meanwhile comes again with the next document.
    sequence = store.change()
    changed = store.spans_of(trace.trace_id, after).spans
    if also and after > 0:
        others = store.spans_of(trace.trace_id).spans
        changed = [*changed, *(span for span in others if span.span_id in also)]
    names = context.processes()
    shown = winners(changed)
    writer = _Columns(base_of(trace), names, look, _causes(store, shown))
    spans = writer.spans(shown)
    query = LogQuery(trace_id=trace.trace_id, after_change=after)
    logs = writer.logs(store.logs(query))
    processes = writer.processes()  # the last that adds texts
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "trace_id": trace.trace_id,
        "sequence": sequence,
        "base_ns": str(writer.base_ns),
        "now_ns": context.now_ns() - writer.base_ns,
        "zone": local_zone(),
        "note": _REPEATED if trace.is_repeated else "",
        "strings": writer.texts.all(),
        "processes": processes,
        "total": trace.spans,
        "left_out": 0,
        "spans": spans,
        "logs": logs,
    }


def base_of(trace: TraceSummary) -> int:
    """Return what the times of a trace are relative to, nanoseconds since the epoch."""
    day, number = trace.place
    return start_of(day) + number * 1_000


def winners(spans: Sequence[Span]) -> Sequence[Span]:
    """Return one record of each span: the winner, if several processes have recorded it."""
    found = {span.span_id: span for span in spans}
    if len(found) == len(spans):
        return spans
    for span in spans:
        if span.rank > found[span.span_id].rank:
            found[span.span_id] = span
    return list(found.values())


def _causes(store: Store, spans: Sequence[Span]) -> Mapping[tuple[str, str], str]:
    """Return why spans are abandoned, by process and span id; of not too many."""
    abandoned = [span for span in spans if span.state == "abandoned"][:_MOST_CAUSES]
    if not abandoned:
        return {}
    lines = store.lines_of(abandoned)
    return {
        (process, span_id): decode_line(line).abandoned or ""
        for (_, span_id, process), line in lines.items()
    }


class _Columns:
    """Writes spans and logs that share texts and processes.

    Args:
        base_ns: What times are relative to, nanoseconds since the epoch.
        names: The name of each process, by its id.
        look: What was seen of processes that may still run.
        causes: Why spans are abandoned, by process and span id.
    """

    def __init__(
        self,
        base_ns: int,
        names: Mapping[str, ProcessName],
        look: Look,
        causes: Mapping[tuple[str, str], str],
    ) -> None:
        self.base_ns = base_ns
        self.texts = Texts()
        self._names = names
        self._causes = causes
        self._looked_ns = look.snapshot.time_ns
        self._observed: Observed = look.observed
        self._where = {
            (one.record.process.id, *one.record.key): str(one.location.frame)
            for one in look.snapshot.spans
            if one.location.is_now
        }
        self._conditions: dict[str, str] = {
            **look.heard.conditions,
            **{one.id: one.condition for one in look.snapshot.processes},
        }
        self._processes: dict[str, int] = {}
        # Of those that the look has not seen, the ones that have recorded since.
        self._new: set[str] = set()

    def spans(self, spans: Sequence[Span]) -> dict[str, list[Any]]:
        """Return spans by column; of the largest traces, so each text is looked up once."""
        base, texts = self.base_ns, self.texts
        sites = {
            site: (texts.optional(file if line else ""), line, texts.optional(name if line else ""))
            for site in dict.fromkeys(span.site for span in spans)
            for file, line, name in (site,)
        }
        lineages = {
            lineage: (texts.optional(str(lineage[1] or "")), texts.optional(lineage[3]))
            for lineage in dict.fromkeys(span.lineage for span in spans)
        }
        for span in spans:
            self._processes.setdefault(span.process, len(self._processes))
        return {
            "id": [span.span_id for span in spans],
            "parent": [span.parent_span_id for span in spans],
            "name": self._numbers([span.name for span in spans]),
            "state": [_STATES[self._state(span)] for span in spans],
            "kind": [_KINDS.get(span.kind, 0) for span in spans],
            "process": [self._processes[span.process] for span in spans],
            "start": [span.start_ns - base for span in spans],
            "end": [None if span.end_ns is None else span.end_ns - base for span in spans],
            "until": [
                (self._until(span) if span.end_ns is None else span.end_ns) - base for span in spans
            ],
            "error": self._numbers([span.error for span in spans]),
            "file": [sites[span.site][0] for span in spans],
            "line": [sites[span.site][1] for span in spans],
            "function": [sites[span.site][2] for span in spans],
            "where": [-1 if span.end_ns is not None else self._place(span) for span in spans],
            "cause": [
                texts.optional(self._causes.get((span.process, span.span_id), "")) for span in spans
            ],
            "thread": [lineages[span.lineage][0] for span in spans],
            "task": [lineages[span.lineage][1] for span in spans],
        }

    def _numbers(self, values: Sequence[str]) -> list[int]:
        """Return the number of each text; -1 for an empty one."""
        numbers = {text: self.texts.optional(text) for text in dict.fromkeys(values)}
        return [numbers[text] for text in values]

    def _place(self, span: Span) -> int:
        """Return the number of the text that says where an open span is."""
        return self.texts.optional(self._where.get((span.process, *span.key), ""))

    def _state(self, span: Span) -> str:
        if span.state not in RECORDED:
            return span.state
        # A look that was taken before cannot have seen it; later nothing would correct it.
        is_new = is_since(self._looked_ns, span.seen_ns)
        if is_new:
            self._new.add(span.process)
        return self._observed.states.get(
            (span.process, *span.key), span.state if is_new else "open"
        )

    def _until(self, span: Span) -> int:
        seen = self._observed.last_seen.get(span.process, 0)
        return max(span.seen_ns, seen, span.start_ns)

    def processes(self) -> list[dict[str, object]]:
        """Return the processes of the spans so far."""
        return [
            {
                "id": self.texts.number(process),
                "label": self.texts.number(name.label or process if name else process),
                "service": self.texts.number(name.service if name else ""),
                "state": _WORDS.get(self._condition(process), "unknown"),
            }
            for process in self._processes
            for name in (self._names.get(process),)
        ]

    def _condition(self, process: str) -> str:
        return self._conditions.get(process, "alive" if process in self._new else "")

    def logs(self, logs: Iterable[StoredLog]) -> list[tuple[object, ...]]:
        """Return logs, the newest first, up to a limit."""
        return [self._log(log) for log in islice(logs, _MOST_LOGS)]

    def _log(self, log: StoredLog) -> tuple[object, ...]:
        fields = log.attributes
        return (
            log.span_id,
            log.time_ns - self.base_ns,
            self.texts.number(log.level or log.kind),
            self.texts.number(log.text),
            self.texts.optional(encode_object(fields).decode() if fields else ""),
            place_text(log.place),
        )
