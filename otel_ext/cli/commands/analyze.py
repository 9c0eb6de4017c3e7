"""`otel-ext analyze`: prints where the time of traces goes.

Exit code 0 if a trace is analyzed, 1 if not, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.analyzer import TraceAnalyzer
from otel_ext.analysis.blocked import open_above
from otel_ext.analysis.json_forms import analysis_as_json
from otel_ext.cli.arguments import add_color, percent, whole_number
from otel_ext.cli.traces.choice import choose_traces
from otel_ext.cli.traces.options import add_clocks, add_traces
from otel_ext.readable import count_of, duration
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, print_lines, warn
from otel_ext.terminal.text import printable
from otel_ext.views.analysis_tables import (
    bottleneck_lines,
    concurrency_lines,
    error_lines,
    operation_lines,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from otel_ext.analysis.blocked import Blocked
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Show where the time of traces goes: the operations that the ends of traces
wait for (bottlenecks), statistics of each operation, errors by where they
began, and what is blocked now. Of a single trace, also how many spans were
active at once.

SELF is the time in which no span below ran. DRAG is by how much traces would
be shorter if the operation took no time, SLACK by how much those of its spans
that no end waits for may be longer. Bottlenecks are of the paths of the roots:
what no parent waits for has a path of its own in otel-ext critical-path.

examples:
  otel-ext analyze traces                    all traces
  otel-ext analyze --trace 4bf92f traces     one trace
  otel-ext analyze --search 'service:shop' --top 20
  otel-ext analyze --json                    everything, for programs

exit code: 0 if a trace is analyzed, 1 if not, 2 for wrong use or a wrong folder
"""
_DEFAULT_TOP: Final = 10
_LONGEST: Final = 300


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_traces(parser, last=0, whole=True)
    add_clocks(parser)
    parser.add_argument(
        "--top",
        type=whole_number,
        default=_DEFAULT_TOP,
        metavar="N",
        help=f"rows of each table (default: {_DEFAULT_TOP}); 0 for all",
    )
    parser.add_argument(
        "--threshold",
        type=percent,
        default=0.0,
        metavar="PERCENT",
        help="only bottlenecks with at least this part of the time (default: 0)",
    )
    add_color(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the analyses of the traces in `args`, and return the exit code."""
    found = choose_traces(args)
    if found.nothing:
        warn(found.nothing)
        return 1
    analyzer = TraceAnalyzer((one.tree for one in found.traces), found.loaded.services)
    if args.json:
        print_json(analysis_as_json(analyzer, args.threshold / 100))
        return 0
    canvas = Canvas.of(sys.stdout, color=args.color)
    top = args.top or None
    for title, lines in _sections(analyzer, canvas, args.threshold / 100, top):
        print_line(canvas.paint("bold", title))
        print_lines(lines)
        print_line("")
    spans = sum(len(tree.spans) - len(tree.missing) for tree in analyzer.trees)
    print_line(f"{count_of(len(analyzer.trees), 'trace')}, {count_of(spans, 'span')}")
    return 0


def _sections(
    analyzer: TraceAnalyzer, canvas: Canvas, least_share: float, top: int | None
) -> Iterator[tuple[str, Iterable[str]]]:
    blocked = list(analyzer.blocked())
    if blocked:
        yield "Blocked now", _blocked_lines(blocked, canvas, top)
    yield "Bottlenecks", bottleneck_lines(analyzer.bottlenecks(least_share)[:top], canvas)
    yield "Operations", operation_lines(analyzer.operations()[:top], canvas)
    if errors := analyzer.errors():
        yield "Errors", error_lines(errors[:top], canvas)
    if len(analyzer.trees) == 1:
        yield "Active at once", concurrency_lines(analyzer.concurrency(analyzer.trees[0]), canvas)


def _blocked_lines(
    found: Iterable[tuple[TraceTree, list[Blocked]]], canvas: Canvas, top: int | None
) -> Iterator[str]:
    oldest = sorted(
        ((one, tree) for tree, some in found for one in some), key=lambda pair: -pair[0].age_ns
    )
    for one, tree in oldest[:top]:
        names = [tree.spans[number].name for number in (one.span, *open_above(tree, one.span))]
        line = f"{duration(one.age_ns):>8}  {printable(' < '.join(names), _LONGEST)}"
        yield canvas.fitted(line)
