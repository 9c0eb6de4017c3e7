"""The lines of one screen of `otel-ext top`: a summary, then the spans."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.cli.span_table import span_lines
from otel_ext.observe.snapshot import STATES
from otel_ext.readable import local_time
from otel_ext.terminal.canvas import STATE_STYLES
from otel_ext.terminal.text import cells, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.observe.snapshot import OpenSpan, Snapshot
    from otel_ext.terminal.canvas import Canvas

__all__ = ["SORTS", "RateMeter", "Summary", "frame_lines", "sorted_by", "summary_of"]

SORTS: Final = ("age", "state", "name", "process")

_WINDOW_SECONDS: Final = 5.0
_HEAD_LINES: Final = 3
_FOOT: Final = "q quit   s sort   t tree   p pause"
_LEAST_ROWS: Final = 1


class Summary(NamedTuple):
    """The figures in the first line.

    Attributes:
        processes: Number of living processes.
        open: Number of open spans by state.
        rate: Records per second of all processes; None until it is known.
    """

    processes: int
    open: dict[str, int]
    rate: float | None


class RateMeter:
    """Measures records per second by the sequence numbers of records.

    >>> meter = RateMeter()
    >>> meter.add(10.0, {"a": 100}), meter.add(12.0, {"a": 150, "b": 7})
    (None, 25.0)
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def add(self, moment: float, last_seqs: dict[str, int]) -> float | None:
        """Add the last numbers by process; return the rate over some seconds.

        Args:
            moment: Seconds on a monotonic clock.
            last_seqs: Number of the last record of each process.
        """
        seen = self._seen
        seen.append((moment, last_seqs))
        while len(seen) > 2 and moment - seen[1][0] >= _WINDOW_SECONDS:  # noqa: PLR2004
            seen.popleft()
        then, before = seen[0]
        if moment <= then:
            return None
        made = sum(seq - before.get(name, seq) for name, seq in last_seqs.items())
        return max(made, 0) / (moment - then)


def summary_of(snapshot: Snapshot, spans: Sequence[OpenSpan], rate: float | None) -> Summary:
    """Return the summary of the shown spans."""
    counts = Counter(span.state for span in spans)
    living = sum(process.lives for process in snapshot.processes)
    return Summary(living, {state: counts[state] for state in STATES}, rate)


def sorted_by(spans: Sequence[OpenSpan], order: str) -> list[OpenSpan]:
    """Return the spans sorted by `order`, then oldest first."""
    if order == "state":
        return sorted(spans, key=lambda span: -STATES.index(span.state))
    if order == "name":
        return sorted(spans, key=lambda span: span.record.name)
    if order == "process":
        return sorted(spans, key=lambda span: (span.process.pid, span.process.id))
    return sorted(spans, key=lambda span: span.start_ns)


def _length(parts: list[tuple[str, str]], gap: str) -> int:
    return sum(cells(text) for _, text in parts) + len(gap) * (len(parts) - 1)


def _head(summary: Summary, canvas: Canvas, now: str) -> str:
    total = sum(summary.open.values())
    parts = [
        ("bold", f"otel-ext top {now}"),
        ("", f"{summary.processes} {'process' if summary.processes == 1 else 'processes'}"),
        ("bold", f"{total:,} open"),
    ]
    # Problem states are always shown, so that they keep their position; except the rarest.
    parts += [
        (STATE_STYLES[state] if summary.open[state] else "dim", f"{summary.open[state]:,} {state}")
        for state in STATES[1:]
        if summary.open[state] or state != "blocked"
    ]
    if summary.rate is not None:
        parts.append(("", f"{summary.rate:,.0f} records/s"))
    gap = "   "
    if canvas.width and _length(parts, gap) > canvas.width:
        gap = " "
    if canvas.width and _length(parts, gap) > canvas.width:
        parts[0] = ("bold", now)
    while canvas.width and len(parts) > 1 and _length(parts, gap) > canvas.width:
        parts.pop()
    return gap.join(canvas.paint(style, text) for style, text in parts)


def frame_lines(
    summary: Summary,
    spans: Sequence[OpenSpan],
    canvas: Canvas,
    *,
    tree: bool = False,
    now_ns: int,
    height: int = 0,
    note: str = "",
    has_keys: bool = False,
) -> list[str]:
    """Return the lines of one screen.

    Args:
        summary: For the first line.
        spans: The spans, sorted.
        canvas: Width, colors and branches.
        tree: Whether the spans are shown as trees.
        now_ns: When the spans were collected, nanoseconds since the epoch.
        height: Lines of the terminal; 0 for no limit.
        note: The second line: the order, and whether it is paused.
        has_keys: Whether keys are read, so that the last line lists them.
    """
    lines = [_head(summary, canvas, local_time(now_ns)), canvas.paint("dim", note), ""]
    room = max(height - _HEAD_LINES - 1 - has_keys, _LEAST_ROWS) if height else len(spans)
    # One line less if the last one is "and N more".
    shown = room if len(spans) <= room else max(room - 1, _LEAST_ROWS)
    if spans:
        lines += span_lines(spans, now_ns, canvas, tree=tree, max_spans=shown)
        if len(spans) > shown:
            lines.append(canvas.paint("dim", f"and {len(spans) - shown:,} more"))
    else:
        lines.append(canvas.paint("dim", "no span is open"))
    if has_keys:
        lines += [""] * (height - 1 - len(lines))
        lines.append(canvas.paint("dim", cut(_FOOT, canvas.width or len(_FOOT))))
    return lines
