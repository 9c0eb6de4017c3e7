"""`otel-ext tree`: prints traces as trees, running spans marked.

Exit code 0 if a span is shown, 1 if not, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import add_color, whole_number
from otel_ext.cli.commands.tree.filter import SpanFilter, add_filters
from otel_ext.cli.commands.tree.forest import make_trace
from otel_ext.cli.commands.tree.json import as_json
from otel_ext.cli.commands.tree.lines import TreeOptions, line_of
from otel_ext.cli.commands.tree.spans import read_spans
from otel_ext.cli.inputs import add_inputs, inputs_of, no_records_message
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.readable import count_of, local_time
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, warn
from otel_ext.terminal.text import cut, printable, printable_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from otel_ext.cli.commands.tree.forest import Trace
    from otel_ext.cli.commands.tree.spans import SpanSet

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
  otel-ext tree --trace 4bf92f traces   the trace whose id begins with that
  otel-ext tree --depth 2 --last 0      all, the upper levels only

exit code: 0 if a span is shown, 1 if not, 2 for wrong use or a wrong folder
"""
_DEFAULT_LAST: Final = 10
_SHORT_ID: Final = 8


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_inputs(parser)
    parser.add_argument(
        "--trace", default="", metavar="ID", help="only traces whose id begins with ID"
    )
    add_filters(parser)
    parser.add_argument(
        "--last",
        type=whole_number,
        default=_DEFAULT_LAST,
        metavar="N",
        help=f"show the newest N traces (default: {_DEFAULT_LAST}); 0 for all",
    )
    parser.add_argument(
        "--depth", type=whole_number, default=0, metavar="N", help="levels to show (default: all)"
    )
    parser.add_argument(
        "--no-fold", action="store_true", help="print a line for each span, even if many are equal"
    )
    add_color(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the traces of the files in `args`, and return the exit code."""
    found = inputs_of(args)
    # Running spans first: a span that ends in between is then read as ended.
    running = {one.record.key: one for one in SnapshotReader(found, other_hosts=True).read().spans}
    spans = read_spans(found)
    span_filter = SpanFilter(args, running)
    canvas = Canvas.of(sys.stdout, color=args.color)
    traces = _traces(spans, span_filter, canvas, args)
    newest = traces[-args.last :]
    if spans.skipped:
        warn(f"{spans.skipped:,} damaged stretches were skipped; otel-ext validate lists them")
    traces_shown = {trace.trace_id for trace in newest}
    processes = [one.process for key, one in running.items() if key[0] in traces_shown]
    reasons = {one.label: one.missing_ends_reason for one in processes if one.missing_ends_reason}
    for label, reason in reasons.items():
        warn(f"process {printable(label)}: {reason}")
    if args.json:
        print_json(as_json(newest, running, spans.processes, args.depth))
    elif newest:
        options = TreeOptions(canvas, running, spans.processes, span_filter.matched)
        _show(newest, spans, options, args.depth)
    if not newest:
        warn(no_records_message(found, args) or _why_nothing(found, spans))
        return 1
    if len(newest) < len(traces) and not args.json:
        warn(f"earlier traces not shown: {len(traces) - len(newest):,}; --last 0 shows all")
    return 0


def _traces(
    spans: SpanSet, span_filter: SpanFilter, canvas: Canvas, args: argparse.Namespace
) -> list[Trace]:
    """Return the traces that match the options, oldest first, with their matching spans."""
    fold = not (args.json or args.no_fold)
    traces: list[Trace] = []
    for (trace_id, process), records in spans.traces().items():
        if not trace_id.startswith(args.trace.lower()):
            continue
        kept = span_filter.apply(records)
        if kept:
            traces.append(make_trace(kept, canvas, process=process, fold=fold))
    return sorted(traces, key=lambda trace: trace.start_ns)


def _why_nothing(found: Sequence[Path], spans: SpanSet) -> str:
    names = ", ".join(printable_path(path.absolute()) for path in found)
    number = len(spans)
    return f"no trace matches; {names} has {number:,} spans" if number else f"no span in {names}"


def _show(traces: Sequence[Trace], spans: SpanSet, options: TreeOptions, depth: int) -> None:
    canvas = options.canvas
    for trace in traces:
        head = _head(trace, spans)
        print_line(canvas.paint("dim", cut(head, canvas.width) if canvas.width else head))
        for node in trace.nodes:
            if not depth or node.depth < depth:
                print_line(line_of(node, options))


def _head(trace: Trace, spans: SpanSet) -> str:
    number = count_of(trace.spans, "span")
    head = f"trace {trace.trace_id[:_SHORT_ID]}  {local_time(trace.start_ns, date=True)}  {number}"
    if not trace.process:
        return head
    facts = spans.processes.get(trace.process)
    label = facts.label if facts is not None else trace.process
    return f"{head}  only of {printable(label)}: other processes use the same ids"
