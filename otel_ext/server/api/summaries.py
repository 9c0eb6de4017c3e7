"""Traces as a list shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.server.api.running_now import is_since

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.server.api.running_now import Look
    from otel_ext.store.protocol import TraceSummary

__all__ = ["WORST", "SummaryWriter"]

WORST: Final = (
    *("error", "abandoned", "lost", "hung", "blocked", "stalled"),
    *("cancelled", "running", "open", "ended", "missing"),
)
"""States of spans, the worst first; the state of a trace is the worst of its spans.

`viewer/src/model/states.ts` has the same order.
"""

_MOST_SERVICES: Final = 8


class SummaryWriter:
    """Writes summaries of traces for JSON.

    Args:
        services: The service of each process, by its id.
        look: What was seen of processes that may still run.
        now_ns: The time, nanoseconds since the epoch.
    """

    def __init__(self, services: Mapping[str, str], look: Look, now_ns: int) -> None:
        self._services = services
        self._now_ns = now_ns
        self._open: dict[str, set[str]] = {}
        self._looked_ns = look.snapshot.time_ns
        for (_, trace_id, _), state in look.observed.states.items():
            self._open.setdefault(trace_id, set()).add(state)

    def write(
        self, trace: TraceSummary, matches: Sequence[str] | None = None, found: int = 0
    ) -> dict[str, object]:
        """Return one trace.

        Args:
            trace: The trace.
            matches: The ids of the spans that a search has found; None without a search.
            found: How many it has found.
        """
        names = (self._services.get(process, "") for process in trace.processes)
        services = [name for name in dict.fromkeys(names) if name][:_MOST_SERVICES]
        until_ns = max(self._now_ns, trace.end_ns) if trace.open else trace.end_ns
        document: dict[str, object] = {
            "trace_id": trace.trace_id,
            "start_ns": str(trace.start_ns),
            "end_ns": None if trace.open else str(trace.end_ns),
            "duration_ns": until_ns - trace.start_ns,
            "name": trace.name,
            "service": self._services.get(trace.process, ""),
            "services": services,
            "state": self.state_of(trace),
            "spans": trace.spans,
            "open": trace.open,
            "errors": trace.errors,
            "abandoned": trace.abandoned,
            "stalled": trace.stalled,
            "missing_root": not trace.has_root,
            "repeated": trace.is_repeated,
        }
        if matches is not None:
            document |= {"matches": matches, "match_count": found}
        return document

    def state_of(self, trace: TraceSummary) -> str:
        """Return the worst state of the spans of a trace."""
        states = {"ended"}
        if trace.open:
            seen = self._open.get(trace.trace_id, set())
            # Of a process that is not seen, it is not known whether it runs.
            is_new = is_since(self._looked_ns, trace.end_ns)
            states |= seen or {"running" if is_new else "open"}
            if trace.stalled and not seen:
                states.add("stalled")
        counts = {"error": trace.errors, "abandoned": trace.abandoned, "cancelled": trace.cancelled}
        states |= {state for state, count in counts.items() if count}
        return next(state for state in WORST if state in states)
