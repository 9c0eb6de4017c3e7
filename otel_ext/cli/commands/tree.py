"""`otel-ext tree`: prints traces as trees, running spans marked.

Exit code 0 if a span is shown, 1 if not, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.cli.traces.follow import add_follow
from otel_ext.cli.traces.options import add_rows, add_traces
from otel_ext.cli.traces.show import show_traces
from otel_ext.views.tree_lines import line_of

if TYPE_CHECKING:
    import argparse

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Show traces as trees: each span under its parent, with how long it took, or for
how long it has been running. A span that did not end is marked with the reason.
Many equal siblings are shown as one line with their number.

examples:
  otel-ext tree                         the folder in the setting output
  otel-ext tree traces                  another folder
  otel-ext tree --all                   all programs of this machine
  otel-ext tree --errors                what failed, with the spans above it
  otel-ext tree --slower 1 --name 'GET *'
  otel-ext tree --search 'service:shop http.route=/pay not error'
  otel-ext tree --trace 4bf92f traces   the trace whose id begins with that
  otel-ext tree --since 10m --last 0    all that started in the last ten minutes
  otel-ext tree --depth 2 --last 0      all, the upper levels only
  otel-ext tree --follow                live: what runs, and what has just ended

exit code: 0 if a span is shown, 1 if not, 2 for wrong use or a wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_traces(parser)
    add_rows(parser)
    add_follow(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the traces of the files in `args`, and return the exit code."""
    return show_traces(args, lambda view, rows: [line_of(row, view) for row in rows])
