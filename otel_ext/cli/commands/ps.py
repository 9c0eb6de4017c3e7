"""`otel-ext ps`: the spans that run now on this machine, one a line.

Ring buffers and journals are read, so spans of a hung process are shown too. Where each span
is at this moment its process is asked, for a second at most.
"""

from __future__ import annotations

import shlex
import sys
from argparse import SUPPRESS, ArgumentTypeError, RawDescriptionHelpFormatter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import seconds
from otel_ext.cli.input_checks import printable_path
from otel_ext.cli.inputs import add_inputs, all_hint, inputs_of, no_records_message
from otel_ext.cli.span_table import TableOptions, json_line, table_lines
from otel_ext.cli.streams import (
    can_show_unicode,
    painter_for,
    print_json,
    print_line,
    warn,
    width_of,
)
from otel_ext.observe.snapshot import Collector, OpenSpan, Snapshot
from otel_ext.observe.stack_requests import request_stacks
from otel_ext.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from otel_ext.cli.registry import Subparsers
    from otel_ext.observe.processes import RunningProcess

__all__ = ["add_filters", "no_spans_message", "register", "run", "select_spans", "warn_unanswered"]

_EPILOG: Final = """\
states:
  running   nothing is wrong with it
  stalled   open for longer than the settings stall-after and stall-patterns say
  blocked   its process runs, but what it records does not reach the disk
  hung      its process lives, but nothing in it runs: stopped, or a call that
            never lets go of the interpreter
  lost      its process is gone; `otel-ext recover` writes its end

where:
  at FILE:LINE FUNCTION       where it is, or was when its process last answered
  opened FILE:LINE FUNCTION   its process has not answered: where it was opened
  -                           nothing is known: none of your code opened it

examples:
  otel-ext ps                     in the folder that the setting output names
  otel-ext ps --all               all programs of this machine that record spans
  otel-ext ps --tree              as trees
  otel-ext ps --no-ask            only what is on record; no program is asked
  otel-ext ps --stalled traces    only what does not go well, in this folder
  otel-ext ps --name 'db.*' --older 5

exit code: 0 if a span is shown, 1 if none is, 2 for wrong use or a wrong folder
"""


def register(subparsers: Subparsers) -> None:
    """Add the parser of `otel-ext ps`."""
    parser = subparsers.add_parser(
        "ps",
        help="spans running now, one a line",
        description="Show the spans that run now, one a line, oldest first.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_filters(parser)
    parser.add_argument(
        "--no-ask",
        dest="asks",
        action="store_false",
        help="do not ask the programs where each span is, which takes 1 s at most",
    )
    parser.add_argument("--now", dest="asks", action="store_true", help=SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `ps`, `top` and `dump` share."""
    add_inputs(parser)
    parser.add_argument("--tree", action="store_true", help="spans under their parents")
    parser.add_argument(
        "--other-hosts",
        action="store_true",
        help="spans of other machines in the same folders too",
    )
    parser.add_argument("--name", metavar="GLOB", help="only spans of this name (*, ?, [...])")
    parser.add_argument("--process", metavar="PID", type=_pid, help="only spans of this process")
    parser.add_argument(
        "--older", metavar="SECONDS", type=seconds, default=0.0, help="only spans at least so old"
    )
    parser.add_argument(
        "--stalled", action="store_true", help="only spans that are stalled, blocked, hung or lost"
    )
    parser.add_argument("--no-color", action="store_true", help="no color (as NO_COLOR=1 does)")


def _pid(text: str) -> int:
    if text.isdecimal() and text.isascii() and 0 < int(text) < 2**31:
        return int(text)
    raise ArgumentTypeError(f"{printable(text)!r} is no process id; give a number from 1")


def run(args: argparse.Namespace) -> int:
    """Show what runs; 0 if something does, else 1.

    Raises:
        UsageError: A place to look at is missing or cannot be read.
    """
    found = inputs_of(args)
    collector = Collector(found, other_hosts=args.other_hosts)
    snapshot = collector.collect()
    if args.asks:
        shown = {span.process.id for span in select_spans(snapshot, args)}
        unanswered = request_stacks(
            process for process in snapshot.processes if process.id in shown
        )
        # What has no ring buffer cannot be asked, which is no news.
        warn_unanswered([process for process in unanswered if process.rings])
        snapshot = collector.collect()
    spans = select_spans(snapshot, args)
    if args.json:
        for span in spans:
            print_json(json_line(span))
    elif spans:
        _show(spans, snapshot, args)
    if not spans:
        warn(no_records_message(found, args) or no_spans_message(snapshot, args))
        return 1
    return 0


def _show(spans: Sequence[OpenSpan], snapshot: Snapshot, args: argparse.Namespace) -> None:
    options = TableOptions(
        width_of(sys.stdout),
        painter_for(sys.stdout, enabled=not args.no_color),
        tree=args.tree,
        ascii_only=not can_show_unicode(sys.stdout),
    )
    for line in table_lines(spans, snapshot.time_ns, options):
        print_line(line)
    problems = {span.process.label: span.process.problem for span in spans if span.process.problem}
    for label, problem in problems.items():
        warn(f"process {printable(label)}: {problem}")
    lost = {str(span.process.folder) for span in spans if span.state == "lost"}
    if lost and sys.stdout.isatty():
        names = " ".join(printable_path(shlex.quote(name)) for name in sorted(lost))
        warn(f"what is lost can be closed: otel-ext recover {names}")


def no_spans_message(snapshot: Snapshot, args: argparse.Namespace) -> str:
    """Return why nothing is shown where there are records, and the way on."""
    if snapshot.spans:
        return f"none of {len(snapshot.spans):,} open spans is asked for by the options"
    names = ", ".join(map(printable_path, snapshot.folders))
    living = sum(process.lives for process in snapshot.processes)
    programs = "no program is" if not living else f"{living} programs are"
    if living == 1:
        programs = "1 program is"
    return f"no span is open in {names}; {programs} recording there{all_hint(args)}"


def select_spans(snapshot: Snapshot, args: argparse.Namespace) -> list[OpenSpan]:
    """Return the spans that the options ask for."""
    older_ns = int(args.older * 1e9)
    return [
        span
        for span in snapshot.spans
        if span.age_ns >= older_ns
        and (args.name is None or fnmatchcase(span.record.name, args.name))
        and (args.process is None or span.process.pid == args.process)
        and (not args.stalled or span.state != "running")
    ]


def warn_unanswered(unanswered: Sequence[RunningProcess]) -> None:
    """Say which processes did not answer."""
    for process in unanswered:
        label = printable(process.label)
        warn(f"process {label} does not answer; what it wrote last is shown")
