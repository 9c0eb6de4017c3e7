"""`otel-ext diff`: compares the traces of two files or folders by operation.

Exit code 0 if both have traces, 1 if not, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.analyzer import TraceAnalyzer
from otel_ext.analysis.json_forms import comparison_as_json
from otel_ext.analysis.traces.load import load
from otel_ext.analysis.traces.observed import observe
from otel_ext.cli.arguments import add_color
from otel_ext.cli.inputs import checked_inputs
from otel_ext.cli.traces.choice import warn_of_damage
from otel_ext.cli.traces.reader import size_of_files, why_nothing
from otel_ext.readable import count_of
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, print_lines, warn
from otel_ext.terminal.progress import progress_bar
from otel_ext.terminal.text import printable_path
from otel_ext.views.analysis_tables import comparison_lines, signed

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Compare the traces of two runs by operation: what is slower, faster, new or
gone. Times are the self time for each trace, so that the differences add up
to that of the whole.

examples:
  otel-ext diff before after
  otel-ext diff before.jsonl after.jsonl --json
  otel-ext diff --trace-before 4bf92f --trace-after 00f067 traces traces

exit code: 0 if both have traces, 1 if not, 2 for wrong use or a wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument("before", metavar="BEFORE", help="file or folder of records")
    parser.add_argument("after", metavar="AFTER", help="file or folder of records")
    for name in ("before", "after"):
        parser.add_argument(
            f"--trace-{name}",
            default="",
            metavar="ID",
            help=f"of {name.upper()} only traces whose id begins with ID",
        )
    add_color(parser)
    parser.set_defaults(input_kind="paths", prog=parser.prog, all=True)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print what has changed, and return the exit code."""
    paths = checked_inputs([args.before, args.after], args)
    prefixes = args.trace_before, args.trace_after
    before, after = (
        _read(path, prefix, args) for path, prefix in zip(paths, prefixes, strict=True)
    )
    if before is None or after is None:
        return 1
    found = after.compared_with(before)
    if args.json:
        print_json(comparison_as_json(found))
        return 0
    canvas = Canvas.of(sys.stdout, color=args.color)
    print_lines(comparison_lines(found, canvas))
    numbers = f"{count_of(found.traces_before, 'trace')} before, {found.traces_after:,} after"
    print_line(canvas.fitted(f"{numbers}; {signed(found.self_ns)} for each trace"))
    return 0


def _read(path: Path, prefix: str, args: argparse.Namespace) -> TraceAnalyzer | None:
    """Return the traces of one side; None if there are none, with a warning."""
    # Running spans first: a span that ends in between is then read as ended.
    observed = observe([path])
    with progress_bar(size_of_files([path])) as advance:
        loaded = load([path], prefix=prefix, progress=advance)
    warn_of_damage(loaded, printable_path(path))
    if not len(loaded.forest):
        warn(why_nothing([path], loaded, args, prefix=prefix))
        return None
    return TraceAnalyzer(loaded.forest.trees(observed), loaded.services)
