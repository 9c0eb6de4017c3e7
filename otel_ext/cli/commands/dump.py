"""`otel-ext dump`: prints where each running span is now, with its whole stack."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.cli.commands.ps import add_filters, running_spans
from otel_ext.cli.span_table import as_tree, json_line
from otel_ext.exporters.console.attributes import PLAIN_WIDTH, format_attributes
from otel_ext.observe.location import frames_of, opened_at
from otel_ext.readable import ago, duration
from otel_ext.record.sanitise.values import encode_value
from otel_ext.terminal.canvas import STATE_STYLES, Canvas
from otel_ext.terminal.output import print_json, print_line, print_lines
from otel_ext.terminal.text import LONGEST, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from otel_ext.observe.spans import ObservedSpan

__all__ = ["run", "set_up"]

_INDENT: Final = "    "
_EPILOG: Final = """\
The programs are asked through their ring buffers; no signal is sent and no
program is stopped. A program that hangs does not answer: its last known stacks
are shown.

examples:
  otel-ext dump            the folder in the setting output
  otel-ext dump --all      all programs of this machine that record spans
  otel-ext dump --process 4242 --older 10

exit code: 0 if a span is shown, 1 if not, 2 for wrong use or a wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = "Ask running programs where their spans are, and show the whole stacks."
    parser.epilog = _EPILOG
    add_filters(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


def run(args: argparse.Namespace) -> int:
    """Ask the programs and print the open spans; return 0 if there are any, else 1."""
    snapshot, spans = running_spans(args, asks=True)
    if not spans:
        return 1
    if args.json:
        for span in spans:
            stack = encode_value([frame.as_dict() for frame in frames_of(span.update)])
            print_json(b'%b,"stack":%b}' % (json_line(span)[:-1], stack))
        return 0
    canvas = Canvas.of(sys.stdout, color=args.color)
    ordered = [span for _, span in as_tree(spans, canvas)] if args.tree else spans
    # Grouped by process; the spans keep their order.
    for process in dict.fromkeys(span.process.id for span in ordered):
        of_process = [span for span in ordered if span.process.id == process]
        print_line(canvas.paint("bold", f"process {printable(of_process[0].process.label)}"))
        for span in of_process:
            print_lines(_lines(span, snapshot.time_ns, canvas))
        print_line("")
    return 0


def _lines(span: ObservedSpan, now_ns: int, canvas: Canvas) -> Iterator[str]:
    paint = canvas.paint
    record = span.record
    owner = record.task.name if record.task else record.thread.name if record.thread else ""
    on = f"  on {printable(owner)}" if owner else ""
    state = paint(STATE_STYLES[span.state], span.state)
    yield f"  {paint('bold', printable(record.name))}  {state} {duration(span.age_ns)}{on}"
    attributes = format_attributes(record.attributes, (canvas.width or PLAIN_WIDTH) - len(_INDENT))
    if attributes:
        yield paint("dim", f"{_INDENT}{attributes}")
    frames = frames_of(span.update)
    if frames:
        seen = ago(span.location.seen_ns, now_ns)
        yield paint("dim", f"    where it was {seen}, innermost first:")
        for frame in frames:
            is_own = frame == span.location.frame
            text = printable(str(frame), LONGEST)
            yield f"    {'>' if is_own else ' '} {text if is_own else paint('dim', text)}"
    opened = str(opened_at(record))
    if opened:
        yield paint("dim", f"    opened at {printable(opened, LONGEST)}")
