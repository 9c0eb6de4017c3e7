"""`otel-ext ps`: prints the spans that run now, or the registered agents, one per line.

It reads ring buffers and journals, so it shows spans of a hung process too. It asks each
process where its spans are, and waits a second at most.
"""

from __future__ import annotations

import shlex
import sys
from argparse import SUPPRESS, ArgumentTypeError
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import add_color, seconds
from otel_ext.cli.entities_now import add_entity_types, show_entities
from otel_ext.cli.inputs import add_inputs, all_hint, inputs_of, no_records_message
from otel_ext.cli.span_table import json_line, span_lines
from otel_ext.cli.supervisor_tree import supervisor_lines
from otel_ext.observe.snapshot import Snapshot, SnapshotReader
from otel_ext.observe.stack_requests import request_stacks
from otel_ext.terminal.canvas import Canvas, is_terminal
from otel_ext.terminal.output import print_json, print_lines, warn
from otel_ext.terminal.text import printable, printable_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from otel_ext.observe.spans import ObservedSpan

__all__ = ["add_filters", "run", "running_spans", "select_spans", "set_up"]

_EPILOG: Final = """\
states:
  running   nothing is wrong with it
  stalled   open for longer than stall-after or stall-patterns allow
  blocked   its process runs, but its records do not reach the disk
  hung      its process lives, but nothing in it runs: it is stopped, or a call
            never releases the interpreter
  lost      its process is gone; `otel-ext recover` writes its end

where:
  at FILE:LINE FUNCTION       where it is, or was when its process last answered
  opened FILE:LINE FUNCTION   where it was opened: its process has not answered
  -                           unknown: it was not opened by your code

examples:
  otel-ext ps                     the folder in the setting output
  otel-ext ps --all               all programs of this machine that record spans
  otel-ext ps --tree              as trees, and supervisors with children
  otel-ext ps --no-ask            only what is recorded; no program is asked
  otel-ext ps --stalled traces    only spans with a problem, in this folder
  otel-ext ps --name 'db.*' --older 5
  otel-ext ps --agents            registered agents, and the span of each
  otel-ext ps --entities child    children of supervisors (no --tree --json)

exit code: 0 if a line is shown, 1 if not, 2 for wrong use or a wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = "Show the spans that run now, one per line, oldest first."
    parser.epilog = _EPILOG
    add_filters(parser)
    parser.add_argument(
        "--no-ask",
        dest="asks",
        action="store_false",
        help="do not ask the programs where their spans are (that takes 1 s at most)",
    )
    parser.add_argument("--now", dest="asks", action="store_true", help=SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    add_entity_types(parser)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the options that `ps`, `top` and `dump` share."""
    add_inputs(parser)
    parser.add_argument("--tree", action="store_true", help="print spans under their parents")
    parser.add_argument(
        "--other-hosts",
        action="store_true",
        help="include spans of other machines in the same folders",
    )
    parser.add_argument("--name", metavar="GLOB", help="only spans of this name (*, ?, [...])")
    parser.add_argument("--process", metavar="PID", type=_pid, help="only spans of this process")
    parser.add_argument(
        "--older", metavar="SECONDS", type=seconds, default=0.0, help="only spans at least this old"
    )
    parser.add_argument(
        "--stalled", action="store_true", help="only spans that are stalled, blocked, hung or lost"
    )
    add_color(parser)


def _pid(text: str) -> int:
    if text.isdecimal() and text.isascii() and 0 < int(text) < 2**31:
        return int(text)
    raise ArgumentTypeError(f"{printable(text)!r} is not a valid process id; use 1 or more")


def run(args: argparse.Namespace) -> int:
    """Print the running spans, and with --tree supervisors; return 0 if there are any, else 1."""
    if args.entities:
        return show_entities(args)
    # A process without a ring buffer cannot be asked, so it needs no warning.
    snapshot, spans = running_spans(args, asks=args.asks, warns_of_all=False)
    if args.json:
        for span in spans:
            print_json(json_line(span))
        return 0 if spans else 1
    return 0 if _show(spans, snapshot, args) else 1


def running_spans(
    args: argparse.Namespace, *, asks: bool, warns_of_all: bool = True
) -> tuple[Snapshot, list[ObservedSpan]]:
    """Return the spans that match the options; print why if there are none.

    Args:
        args: The options of the command.
        asks: Whether to ask the programs where their spans are, and print which do not answer.
        warns_of_all: Whether those without a ring buffer, which cannot be asked, count as such.
    """
    found = inputs_of(args)
    reader = SnapshotReader(found, other_hosts=args.other_hosts)
    snapshot = reader.read()
    if asks:
        wanted = {span.process.id for span in select_spans(snapshot, args)}
        asked = [process for process in snapshot.processes if process.id in wanted]
        for process in request_stacks(asked):
            if process.rings or warns_of_all:
                label = printable(process.label)
                warn(f"process {label} does not answer; its last record is shown")
        snapshot = reader.read()
    spans = select_spans(snapshot, args)
    if not spans:
        warn(no_records_message(found, args) or _no_spans_message(snapshot, args))
    return snapshot, spans


def _show(spans: Sequence[ObservedSpan], snapshot: Snapshot, args: argparse.Namespace) -> bool:
    """Print what there is; return whether there is something."""
    canvas = Canvas.of(sys.stdout, color=args.color)
    if spans:
        print_lines(span_lines(spans, snapshot.time_ns, canvas, tree=args.tree))
    lines: list[str] = []
    if args.tree:
        selected = [one for one in snapshot.entities if args.process in {None, one.process.pid}]
        lines = list(supervisor_lines(selected, canvas))
        print_lines(["", *lines] if spans and lines else lines)
    problems = {span.process.label: span.process.problem for span in spans if span.process.problem}
    for label, problem in problems.items():
        warn(f"process {printable(label)}: {problem}")
    lost = {str(span.process.folder) for span in spans if span.state == "lost"}
    if lost and is_terminal(sys.stdout):
        names = " ".join(printable_path(shlex.quote(name)) for name in sorted(lost))
        warn(f"to end the lost spans: otel-ext recover {names}")
    return bool(spans or lines)


def _no_spans_message(snapshot: Snapshot, args: argparse.Namespace) -> str:
    """Return why no span is shown although there are records, and what to try."""
    if snapshot.spans:
        return f"none of {len(snapshot.spans):,} open spans matches the options"
    names = ", ".join(map(printable_path, snapshot.folders))
    living = sum(process.lives for process in snapshot.processes)
    programs = f"{living or 'no'} {'programs are' if living > 1 else 'program is'}"
    return f"no span is open in {names}; {programs} recording there{all_hint(args)}"


def select_spans(snapshot: Snapshot, args: argparse.Namespace) -> list[ObservedSpan]:
    """Return the spans that match the options."""
    older_ns = int(args.older * 1e9)
    return [
        span
        for span in snapshot.spans
        if span.age_ns >= older_ns
        and (args.name is None or fnmatchcase(span.record.name, args.name))
        and (args.process is None or span.process.pid == args.process)
        and (not args.stalled or span.state != "running")
    ]
