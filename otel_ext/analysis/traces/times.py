"""`Times`: when each span of a trace started and ended, as the analyses take it.

A span that is open has no end, and clocks of different hosts differ. So the analyses do not
read the times of spans themselves.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["Times", "times_of"]

# As `runtime.process.incarnation` makes them; those of converted files look otherwise.
_OWN_ID: Final = re.compile(r"([0-9a-f]{8})-\d+-\d+-[0-9a-f]{8}")


class Times(NamedTuple):
    """The times of the spans of one trace, by their numbers, in nanoseconds since the epoch.

    Attributes:
        starts: When each started.
        ends: When each ended, at the earliest for a span that is open or above an open one.
        shifts: By how much each was shifted, since the clock of its host seems to differ.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    shifts: tuple[int, ...]

    def duration(self, number: int) -> int:
        """Return how long a span took, in nanoseconds."""
        return self.ends[number] - self.starts[number]


def times_of(trace: TraceTree) -> Times:
    """Return the times of a trace's spans.

    An open span has lasted at least until its process was last seen, or made its last record
    in this trace, and until the last of the spans below it ended.

    If the clocks of the trace are to be adjusted, spans of another machine that seem to start
    before their parent, or to end after it, are shifted into it: if they fit, to its middle,
    else to its start. A consumer's span is not: it starts when it gets the message.
    """
    spans = trace.spans
    starts = [span.start_ns for span in spans]
    ends = [0 if span.end_ns is None else max(span.end_ns, span.start_ns) for span in spans]
    seen = dict(trace.last_seen)
    for span in spans:
        seen[span.process] = max(seen.get(span.process, 0), span.seen_ns)
    for number in reversed(range(len(spans))):  # children before parents
        span = spans[number]
        if span.end_ns is None:
            below = max((ends[child] for child in trace.children[number]), default=0)
            until = 0 if span.state == "missing" else seen[span.process]
            ends[number] = max(until, below, span.start_ns)
    shifts = [0] * len(spans)
    if trace.adjust_clocks:
        _shift(trace, starts, ends, shifts)
    return Times(tuple(starts), tuple(ends), tuple(shifts))


def _shift(trace: TraceTree, starts: list[int], ends: list[int], shifts: list[int]) -> None:
    for number, parent in enumerate(trace.parents):  # parents before children
        if parent < 0:
            continue
        above, below = trace.spans[parent], trace.spans[number]
        shift = shifts[parent]
        if above.kind == "producer" and below.kind == "consumer":
            shift = 0
        elif _clock_of(above.process) != _clock_of(below.process):
            shift = _shift_into(starts[number], ends[number], starts[parent], ends[parent])
        shifts[number] = shift
        starts[number] += shift
        ends[number] += shift


def _clock_of(process: str) -> str:
    """Return what processes with the same clock have in common: the boot in their ids."""
    found = _OWN_ID.fullmatch(process)
    return process if found is None else found[1]


def _shift_into(start: int, end: int, parent_start: int, parent_end: int) -> int:
    """Return by how much a span has to be shifted to be within its parent."""
    if parent_start <= start and end <= parent_end:
        return 0
    spare = (parent_end - parent_start) - (end - start)
    return parent_start + max(spare // 2, 0) - start
