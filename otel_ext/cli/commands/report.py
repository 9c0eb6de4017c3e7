"""`otel-ext report`: writes traces into one HTML file.

Exit code 0 if it is written, 1 if there is no trace, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.cli.traces.choice import choose_traces, outcome
from otel_ext.cli.traces.options import add_clocks, add_traces
from otel_ext.cli.written_file import is_stdout, write_whole
from otel_ext.readable import count_of, size
from otel_ext.terminal.output import print_line, warn
from otel_ext.terminal.text import printable_path
from otel_ext.views.report import report_page, traces_of

if TYPE_CHECKING:
    import argparse

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Write traces into one HTML file, which opens from disk without a network:
waterfall, flame graph, critical path, logs, errors and a search.

examples:
  otel-ext report -o trace.html                     the newest ten traces
  otel-ext report traces --trace 4bf92f -o one.html one trace
  otel-ext report --search error --last 50          traces with an error
  otel-ext report -o - | ssh host 'cat > trace.html'

exit code: 0 if it is written, 1 if there is no trace, 2 for wrong use or a
wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_traces(parser, whole=True)
    add_clocks(parser)
    parser.add_argument(
        "-o",
        "--output",
        default="trace.html",
        metavar="FILE",
        help="the file to write (default: trace.html); - for the standard output",
    )


def run(args: argparse.Namespace) -> int:
    """Write the report of the traces in `args`, and return the exit code."""
    found = choose_traces(args, with_logs=True, output=args.output)
    if not found.traces:
        return outcome(found)
    trees = (one.tree for one in reversed(found.traces))  # the newest first
    where = {
        key: str(one.location.frame) if one.location.is_now else ""
        for key, one in found.running.items()
    }
    report = traces_of(trees, found.loaded, where)
    written = write_whole(args.output, report_page(report))
    counts = f"{count_of(len(report.traces), 'trace')}, {count_of(report.spans, 'span')}"
    # A page on the standard output is not mixed with other lines.
    show = warn if is_stdout(args.output) else print_line
    show(f"{printable_path(args.output)}: {counts}, {size(written)}")
    if report.note:
        warn(f"{report.note}; choose with --trace")
    return outcome(found, "written")
