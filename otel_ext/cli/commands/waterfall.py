"""`otel-ext waterfall`: prints traces with a bar for each span.

Exit code 0 if a span is shown, 1 if not, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.cli.traces.follow import add_follow
from otel_ext.cli.traces.options import add_clocks, add_rows, add_traces
from otel_ext.cli.traces.show import show_traces
from otel_ext.views.waterfall import waterfall_lines

if TYPE_CHECKING:
    import argparse

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Show traces as waterfalls: a bar for each span, from its start to its end. It
is thick where the end of the trace waited for it (the critical path). At the
end of the bar of a span that did not end well is the mark of its state, the
same as before its name.

examples:
  otel-ext waterfall                        the newest trace
  otel-ext waterfall --trace 4bf92f traces  the trace whose id begins with that
  otel-ext waterfall --search 'service:shop >100ms' --last 3
  otel-ext waterfall --follow               live, the newest trace

exit code: 0 if a span is shown, 1 if not, 2 for wrong use or a wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_traces(parser, last=1)
    add_clocks(parser)
    add_rows(parser)
    add_follow(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, as tree does")


def run(args: argparse.Namespace) -> int:
    """Print the traces of the files in `args`, and return the exit code."""
    return show_traces(args, waterfall_lines)
