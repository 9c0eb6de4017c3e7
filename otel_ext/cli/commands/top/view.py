"""The lines of one screen of `otel-ext top`: a summary, then the spans."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.cli.span_table import span_lines
from otel_ext.observe.spans import STATES
from otel_ext.readable import local_time
from otel_ext.terminal.canvas import STATE_STYLES
from otel_ext.terminal.text import cells, cut

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.terminal.canvas import Canvas

__all__ = ["SORTS", "Frame", "RateMeter", "frame_lines"]

_WINDOW_SECONDS: Final = 5.0
_HEAD_LINES: Final = 3
_FOOT: Final = "q quit   s sort   t tree   p pause"
_LEAST_ROWS: Final = 1


class Frame(NamedTuple):
    """What one screen shows.

    Attributes:
        time_ns: When it was read, nanoseconds since the epoch.
        processes: Number of living processes.
        spans: The spans, oldest first.
        rate: Records per second of all processes; None until it is known.
    """

    time_ns: int
    processes: int
    spans: list[ObservedSpan]
    rate: float | None

    @property
    def open(self) -> dict[str, int]:
        """Number of open spans by state."""
        counts = Counter(span.state for span in self.spans)
        return {state: counts[state] for state in STATES}

    def sorted_by(self, order: str) -> Frame:
        """Return a copy with the spans sorted by `order`, then oldest first."""
        return self._replace(spans=sorted(self.spans, key=_SORT_KEYS[order]))


_SORT_KEYS: Final[dict[str, Callable[[ObservedSpan], Any]]] = {
    "age": lambda span: span.start_ns,
    "state": lambda span: -STATES.index(span.state),
    "name": lambda span: span.record.name,
    "process": lambda span: (span.process.pid, span.process.id),
}
SORTS: Final = tuple(_SORT_KEYS)
"""The orders of the spans; the first is the default."""


class RateMeter:
    """Measures records per second by the sequence numbers of records.

    >>> meter = RateMeter()
    >>> meter.add(10.0, {"a": 100}), meter.add(12.0, {"a": 150, "b": 7})
    (None, 25.0)
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def add(self, moment: float, last_seqs: dict[str, int]) -> float | None:
        """Add each process's last number at a time in seconds; return the rate of some seconds."""
        seen = self._seen
        seen.append((moment, last_seqs))
        while len(seen) > 2 and moment - seen[1][0] >= _WINDOW_SECONDS:  # noqa: PLR2004
            seen.popleft()
        then, before = seen[0]
        if moment <= then:
            return None
        made = sum(seq - before.get(name, seq) for name, seq in last_seqs.items())
        return max(made, 0) / (moment - then)


def _length(parts: list[tuple[str, str]], gap: str) -> int:
    return sum(cells(text) for _, text in parts) + len(gap) * (len(parts) - 1)


def _head(frame: Frame, canvas: Canvas) -> str:
    now = local_time(frame.time_ns)
    counts = frame.open
    parts = [
        ("bold", f"otel-ext top {now}"),
        ("", f"{frame.processes} {'process' if frame.processes == 1 else 'processes'}"),
        ("bold", f"{len(frame.spans):,} open"),
    ]
    # Problem states are always shown, so that they keep their position; except the rarest.
    parts += [
        (STATE_STYLES[state] if counts[state] else "dim", f"{counts[state]:,} {state}")
        for state in STATES[1:]
        if counts[state] or state != "blocked"
    ]
    if frame.rate is not None:
        parts.append(("", f"{frame.rate:,.0f} records/s"))
    gap = "   "
    if canvas.width and _length(parts, gap) > canvas.width:
        gap = " "
    if canvas.width and _length(parts, gap) > canvas.width:
        parts[0] = ("bold", now)
    while canvas.width and len(parts) > 1 and _length(parts, gap) > canvas.width:
        parts.pop()
    return gap.join(canvas.paint(style, text) for style, text in parts)


def frame_lines(
    frame: Frame, canvas: Canvas, *, tree: bool, height: int, note: str, has_keys: bool
) -> list[str]:
    """Return the lines of one screen.

    Args:
        frame: The figures, and the spans, sorted.
        canvas: Width, colors and branches.
        tree: Whether the spans are shown as trees.
        height: Lines of the terminal; 0 for no limit.
        note: The second line: the order, and whether it is paused.
        has_keys: Whether keys are read, so that the last line lists them.
    """
    spans = frame.spans
    lines = [_head(frame, canvas), canvas.paint("dim", note), ""]
    room = max(height - _HEAD_LINES - 1 - has_keys, _LEAST_ROWS) if height else len(spans)
    # One line less if the last one is "and N more".
    shown = room if len(spans) <= room else max(room - 1, _LEAST_ROWS)
    if spans:
        lines += span_lines(spans, frame.time_ns, canvas, tree=tree, max_spans=shown)
        if len(spans) > shown:
            lines.append(canvas.paint("dim", f"and {len(spans) - shown:,} more"))
    else:
        lines.append(canvas.paint("dim", "no span is open"))
    if has_keys:
        lines += [""] * (height - 1 - len(lines))
        lines.append(canvas.paint("dim", cut(_FOOT, canvas.width or len(_FOOT))))
    return lines
