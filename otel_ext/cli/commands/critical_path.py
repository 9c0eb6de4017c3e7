"""`otel-ext critical-path`: prints what the end of a trace had to wait for.

Exit code 0 if a trace is shown, 1 if not, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.critical_path import critical_path, path_roots
from otel_ext.analysis.json_forms import critical_paths_as_json
from otel_ext.analysis.traces.times import times_of
from otel_ext.cli.arguments import add_color
from otel_ext.cli.traces.choice import choose_traces, outcome
from otel_ext.cli.traces.options import add_clocks, add_traces
from otel_ext.readable import count_of, duration, local_time
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, print_lines
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import cells, cut, printable
from otel_ext.views.trace_view import clocks_note, short_id

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from otel_ext.analysis.critical_path import CriticalPath, Segment
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Show what the end of a trace had to wait for, piece by piece: each moment
belongs to one span. "beside" names a span that ran at the same time, so that
the one that is shown may only have waited. What no span waited for, such as a
task in the background, has a path of its own. While a trace is running, its
path is a lower bound. A long path is shown by the names of its spans, and of
many paths only the longest.

examples:
  otel-ext critical-path                        of the newest trace
  otel-ext critical-path --trace 4bf92f traces  of the trace with such an id
  otel-ext critical-path --no-fold              each path, and each piece of it
  otel-ext critical-path --json                 segments with their span ids

exit code: 0 if a trace is shown, 1 if not, 2 for wrong use or a wrong folder
"""
_COLUMNS: Final = (
    Column("AT", is_number=True),
    Column("FOR", is_number=True),
    Column("SHARE", is_number=True),
    Column("SPAN", share=0.6),
    Column("BESIDE", share=0.4, optional=1),
)
_FOLDED_COLUMNS: Final = (
    Column("FOR", is_number=True),
    Column("SHARE", is_number=True),
    Column("PIECES", is_number=True),
    Column("SPAN", share=1.0),
)
# The most pieces that are shown one by one.
_MANY: Final = 30
# The most paths of a trace; many spans in the background have one each.
_MOST_PATHS: Final = 10
# A heading with less room for the name has no date.
_LEAST_NAME: Final = 12


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_traces(parser, last=1, whole=True)
    add_clocks(parser)
    add_color(parser)
    parser.add_argument(
        "--no-fold",
        action="store_true",
        help="print each path, and a line for each piece, however many",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the critical paths of the traces in `args`, and return the exit code."""
    found = choose_traces(args)
    paths = [(one.tree, times_of(one.tree)) for one in found.traces]
    if args.json:
        print_json(critical_paths_as_json(tree for tree, _ in paths))
    else:
        canvas = Canvas.of(sys.stdout, color=args.color)
        for tree, times in paths:
            _print_paths(tree, times, canvas, fold=not args.no_fold)
    return outcome(found, is_json=args.json)


def _print_paths(tree: TraceTree, times: Times, canvas: Canvas, *, fold: bool) -> None:
    paths = _paths_of(tree, times)
    shown = _longest(paths, tree, times) if fold else paths
    for path in shown:
        print_line(canvas.paint("dim", _heading(tree, times, path, canvas.width)))
        is_long = fold and len(path.segments) > _MANY
        print_lines((_folded if is_long else _lines)(tree, times, path, canvas))
    if len(shown) < len(paths):
        more = count_of(len(paths) - len(shown), "shorter path")
        print_line(canvas.paint("dim", f"… {more}; --no-fold shows all"))


def _longest(paths: list[CriticalPath], tree: TraceTree, times: Times) -> list[CriticalPath]:
    """Return the paths of the roots, and the longest others up to a number, in their order."""
    by_length = sorted(
        paths, key=lambda path: (tree.parents[path.root] >= 0, -times.duration(path.root))
    )
    kept = {path.root for path in by_length[:_MOST_PATHS]}
    return [path for path in paths if path.root in kept]


def _paths_of(tree: TraceTree, times: Times) -> list[CriticalPath]:
    """Return the path of each root, and of what no parent waited for, by their start."""
    roots = sorted(path_roots(tree, times), key=lambda one: (times.starts[one], one))
    return [critical_path(tree, times, root) for root in roots]


def _heading(tree: TraceTree, times: Times, path: CriticalPath, width: int) -> str:
    """Return the line above a path; if it is too long, the name is cut."""
    least = "at least " if path.is_lower_bound else ""
    name = printable(tree.spans[path.root].name)
    start = local_time(times.starts[path.root], date=True)
    took = f"{least}{duration(times.duration(path.root))}"
    head, tail = f"trace {short_id(tree.trace_id)}  {start}", f" {took}{clocks_note(times)}"
    if not width:
        return f"{head}  {name}{tail}"
    room = width - len(head) - len(tail) - 2
    if room < min(cells(name), _LEAST_NAME):
        head = head.partition("  ")[0]
        room = width - len(head) - len(tail) - 2
    return cut(f"{head}  {cut(name, max(room, 1))}{tail}", width)


def _lines(tree: TraceTree, times: Times, path: CriticalPath, canvas: Canvas) -> Iterator[str]:
    start, whole = times.starts[path.root], max(times.duration(path.root), 1)
    rows = [
        (
            duration(segment.start_ns - start),
            duration(segment.duration_ns),
            f"{segment.duration_ns / whole:.1%}",
            _name(tree, segment),
            printable(tree.spans[segment.beside].name) if segment.beside >= 0 else "",
        )
        for segment in path.segments
    ]
    return table_lines(_COLUMNS, rows, canvas)


def _folded(tree: TraceTree, times: Times, path: CriticalPath, canvas: Canvas) -> Iterator[str]:
    """Yield a line for each name, the longest time first."""
    whole = max(times.duration(path.root), 1)
    pieces: dict[str, list[int]] = {}
    for segment in path.segments:
        pieces.setdefault(tree.spans[segment.span].name, []).append(segment.duration_ns)
    rows = [
        (duration(sum(found)), f"{sum(found) / whole:.1%}", f"{len(found):,}", printable(name))
        for name, found in sorted(pieces.items(), key=lambda one: (-sum(one[1]), one[0]))
    ]
    return table_lines(_FOLDED_COLUMNS, rows, canvas)


def _name(tree: TraceTree, segment: Segment) -> str:
    name = printable(tree.spans[segment.span].name)
    return f"{name} (by time alone)" if segment.is_inferred else name
