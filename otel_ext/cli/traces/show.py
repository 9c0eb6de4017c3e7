"""Shows traces in the terminal, one after another, live or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.cli.traces.choice import choose_traces, outcome, rows_to_show
from otel_ext.cli.traces.follow import follow
from otel_ext.cli.traces.json_form import as_json
from otel_ext.terminal.output import print_json, print_lines
from otel_ext.views.trace_view import heading

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from otel_ext.cli.traces.reader import Chosen, ChosenTraces
    from otel_ext.views.rows import Row
    from otel_ext.views.trace_view import TraceView

    Draw = Callable[[TraceView, list[Row]], Iterable[str]]

__all__ = ["show_traces"]


def show_traces(args: argparse.Namespace, draw: Draw) -> int:
    """Show the traces that the options of a command choose; return the exit code.

    Args:
        args: The command's arguments, `--follow` and `--json` among them.
        draw: Returns the lines of a trace below its heading.

    Raises:
        UsageError: An option is wrong, or an input.
    """

    def lines_of(one: Chosen, found: ChosenTraces) -> list[str]:
        view, rows = rows_to_show(one, found, args)
        return [heading(view, rows), *draw(view, rows)]

    if args.follow:
        return follow(args, lines_of)
    found = choose_traces(args)
    if args.json:
        print_json(as_json(rows_to_show(one, found, args, fold=False) for one in found.traces))
    else:
        for one in found.traces:
            print_lines(lines_of(one, found))
    return outcome(found, is_json=args.json)
