"""Tables of analyses, for `otel-ext analyze` and `otel-ext diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.readable import duration
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeGuard

    from otel_ext.analysis.bottlenecks import Bottleneck
    from otel_ext.analysis.comparison import Comparison
    from otel_ext.analysis.concurrency import Concurrency
    from otel_ext.analysis.errors import ErrorGroup
    from otel_ext.analysis.operations import Operation, OperationStatistics
    from otel_ext.terminal.canvas import Canvas

__all__ = [
    "bottleneck_lines",
    "comparison_lines",
    "concurrency_lines",
    "error_lines",
    "operation_lines",
    "signed",
]

# Of names some must be left to tell them apart, so numbers are left out first.
_LEAST_NAME: Final = 20
_OPERATION: Final = Column("OPERATION", share=1.0, least=_LEAST_NAME)
_BAR: Final = 20
_UNKNOWN: Final = "-"
_BLOCKS: Final = ("█", "#")
_CHANGES: Final = {"slower": "red", "new": "yellow", "faster": "green", "gone": "dim"}


def _number(heading: str, optional: int = 0) -> Column:
    return Column(heading, is_number=True, optional=optional)


def _name(operation: Operation) -> str:
    service = f"{operation.service}: " if operation.service else ""
    return printable(f"{service}{operation.name}")


def _has_ended(one: OperationStatistics | None) -> TypeGuard[OperationStatistics]:
    """Whether a span of the operation has ended, so that it has times."""
    return one is not None and one.calls > one.open


def bottleneck_lines(found: Iterable[Bottleneck], canvas: Canvas) -> Iterator[str]:
    """Yield a table of bottlenecks, without newlines."""
    columns = (
        _number("SHARE"),
        _number("ON PATH"),
        _number("DRAG", 1),
        _number("SLACK", 2),
        _number("PATHS", 3),
        _OPERATION,
    )
    rows = [
        (
            f"{one.share:.1%}",
            f"{'≥ ' if one.is_lower_bound else ''}{duration(one.path_ns)}",
            duration(one.drag_ns),
            "" if one.slack_ns is None else duration(one.slack_ns),
            f"{one.paths:,}",
            _name(one.operation),
        )
        for one in found
    ]
    return table_lines(columns, rows, canvas)


def operation_lines(found: Iterable[OperationStatistics], canvas: Canvas) -> Iterator[str]:
    """Yield a table of operations, without newlines."""
    columns = (
        _number("CALLS"),
        _number("ERRORS", 2),
        _number("NO END", 5),
        _number("SELF"),
        _number("TOTAL", 6),
        _number("P50", 3),
        _number("P95", 1),
        _number("P99", 7),
        _number("MAX", 4),
        _OPERATION,
    )
    rows = [
        (
            f"{one.calls:,}",
            f"{one.errors:,}",
            f"{one.open + one.abandoned:,}",
            *(
                duration(time) if _has_ended(one) else _UNKNOWN
                for time in (
                    one.self_ns,
                    one.total_ns,
                    *(one.percentiles[name] for name in ("p50", "p95", "p99")),
                    one.longest_ns,
                )
            ),
            _name(one.operation),
        )
        for one in found
    ]
    return table_lines(columns, rows, canvas)


def error_lines(found: Iterable[ErrorGroup], canvas: Canvas) -> Iterator[str]:
    """Yield a table of errors, without newlines."""
    columns = (
        _number("ERRORS"),
        _number("CAUGHT", 1),
        _OPERATION._replace(share=0.4),
        Column("ERROR", share=0.6, least=_LEAST_NAME),
    )
    rows = [
        (
            f"{one.errors:,}",
            f"{one.swallowed:,}",
            _name(one.operation),
            printable(" ".join(one.text.split())) or "(no text)",
        )
        for one in found
    ]
    return table_lines(columns, rows, canvas)


def concurrency_lines(found: Concurrency, canvas: Canvas) -> Iterator[str]:
    """Yield for how long how many spans were active, with bars, without newlines."""
    whole = max(sum(found.time_at.values()), 1)
    block = _BLOCKS[canvas.ascii_only]
    columns = (_number("ACTIVE"), _number("FOR"), _number("SHARE"), Column("", share=1.0))
    rows = [
        (
            f"{number:,}",
            duration(time),
            f"{time / whole:.1%}",
            block * max(round(_BAR * time / whole), 1),
        )
        for number, time in sorted(found.time_at.items())
    ]
    yield from table_lines(columns, rows, canvas)
    yield canvas.fitted(f"mean {found.mean:.2f}, at most {found.peak:,} at once")


def comparison_lines(found: Comparison, canvas: Canvas) -> Iterator[str]:
    """Yield a table of differences, without newlines."""
    columns = (
        Column("CHANGE"),
        _number("SELF"),
        _number("SHARE", 1),
        _number("CALLS", 2),
        _number("P50", 4),
        _number("P95", 3),
        _OPERATION,
    )
    rows: list[Sequence[str]] = []
    styles: list[str] = []
    for one in found.differences:
        sides = one.before, one.after
        rows.append(
            (
                one.change,
                signed(one.self_ns),
                f"{one.share:.1%}",
                " → ".join(f"{side.calls:,}" if side else _UNKNOWN for side in sides),
                *(
                    " → ".join(
                        duration(side.percentiles[name]) if _has_ended(side) else _UNKNOWN
                        for side in sides
                    )
                    for name in ("p50", "p95")
                ),
                _name(one.operation),
            )
        )
        styles.append(_CHANGES.get(one.change, ""))
    return table_lines(columns, rows, canvas, styles)


def signed(nanoseconds: int) -> str:
    """Return a difference with its sign.

    >>> signed(1_500_000), signed(-2_000_000)
    ('+1.50 ms', '-2.00 ms')
    """
    return f"+{duration(nanoseconds)}" if nanoseconds > 0 else duration(nanoseconds)
