"""What was seen of the processes of traces, besides their records, as the forest takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.analysis.traces.forest import Observed
from otel_ext.observe.snapshot import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_ext.analysis.traces.span import State
    from otel_ext.observe.spans import ObservedSpan

__all__ = ["observe", "observed_of"]


def observe(paths: Iterable[Path]) -> Observed:
    """Look at the processes that record into some folders and files."""
    return observed_of(SnapshotReader(paths, other_hosts=True).read().spans)


def observed_of(spans: Iterable[ObservedSpan]) -> Observed:
    """Return what the open spans of a snapshot show."""
    states: dict[tuple[str, str, str], State] = {}
    last_seen: dict[str, int] = {}
    for one in spans:
        process = one.record.process.id
        trace_id, span_id = one.record.key
        states[process, trace_id, span_id] = one.state
        last_seen[process] = max(last_seen.get(process, 0), one.start_ns + one.age_ns)
    return Observed(states, last_seen)
