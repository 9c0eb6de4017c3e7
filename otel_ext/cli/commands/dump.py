"""`otel-ext dump`: where each running span is at this moment, with its whole stack."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Final

from otel_ext.cli.commands.ps import add_filters, chosen, explain_nothing, tell_silent
from otel_ext.cli.inputs import nothing_in, places_of
from otel_ext.cli.span_table import COLORS, json_line
from otel_ext.cli.span_tree import as_tree
from otel_ext.cli.streams import painter_for, say, say_json, warn, width_of
from otel_ext.exporters.console.attributes import format_attributes
from otel_ext.observe.location import frames_of, opened_at
from otel_ext.observe.snapshot import Collector
from otel_ext.observe.stack_requests import ask
from otel_ext.record.sanitise.values import encode_value
from otel_ext.terminal import duration, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from otel_ext.cli.registry import Subparsers
    from otel_ext.observe.snapshot import Running
    from otel_ext.terminal import Painter

__all__ = ["register", "run"]

_INDENT: Final = "    "
# Where the output has no width, as in a file or a pipe.
_WIDTH: Final = 200
_EPILOG: Final = """\
The programs are asked through their ring buffers; no signal is sent and nothing
is stopped. One that hangs does not answer: its last known stacks are shown.

examples:
  otel-ext dump            in the folder that the setting output names
  otel-ext dump --all      all programs of this machine that record spans
  otel-ext dump --process 4242 --older 10

exit code: 0 if a span is shown, 1 if none is, 2 for wrong use or a wrong folder
"""


def register(subparsers: Subparsers) -> None:
    """Add the parser of `otel-ext dump`."""
    parser = subparsers.add_parser(
        "dump",
        help="where each running span is now, with its whole stack",
        description="Ask running programs where their spans are, and show whole stacks.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_filters(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")


def run(args: argparse.Namespace) -> int:
    """Ask, and show what is open; 0 if something is, else 1.

    Raises:
        UsageError: A place to look at is missing or cannot be read.
    """
    found = places_of(args)
    collector = Collector(found, elsewhere=args.other_hosts)
    before = collector.collect()
    wanted = {span.process.id for span in chosen(before, args)}
    tell_silent(ask(process for process in before.processes if process.id in wanted))
    snapshot = collector.collect()
    spans = chosen(snapshot, args)
    if not spans:
        warn(nothing_in(found, args) or explain_nothing(snapshot, args))
        return 1
    if args.json:
        for span in spans:
            stack = encode_value([frame.as_dict() for frame in frames_of(span.update)])
            say_json(b'%b,"stack":%b}' % (json_line(span)[:-1], stack))
        return 0
    paint = painter_for(sys.stdout, enabled=not args.no_color)
    ordered = [span for _, span in as_tree(spans)] if args.tree else spans
    # One process after the other, each in the order of its spans.
    for process in dict.fromkeys(span.process.id for span in ordered):
        mine = [span for span in ordered if span.process.id == process]
        say(paint("bold", f"process {printable(mine[0].process.label)}"))
        for span in mine:
            for line in _lines(span, snapshot.time_ns, paint):
                say(line)
        say("")
    return 0


def _lines(span: Running, now_ns: int, paint: Painter) -> Iterator[str]:
    record = span.record
    owner = record.task.name if record.task else record.thread.name if record.thread else ""
    on = f"  on {printable(owner)}" if owner else ""
    state = paint(COLORS[span.state], span.state)
    yield f"  {paint('bold', printable(record.name))}  {state} {duration(span.age_ns)}{on}"
    attributes = format_attributes(
        record.attributes, (width_of(sys.stdout) or _WIDTH) - len(_INDENT)
    )
    if attributes:
        yield paint("dim", f"{_INDENT}{attributes}")
    frames = frames_of(span.update)
    if frames:
        seen = duration(max(now_ns - span.place.seen_ns, 0))
        yield paint("dim", f"    where it was {seen} ago, innermost first:")
        for frame in frames:
            is_own = frame == span.place.frame
            text = printable(str(frame), 4_096)
            yield f"    {'>' if is_own else ' '} {text if is_own else paint('dim', text)}"
    opened = str(opened_at(record))
    if opened:
        yield paint("dim", f"    opened at {printable(opened, 4_096)}")
