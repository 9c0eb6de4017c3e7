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
from otel_ext.cli.input_checks import shown
from otel_ext.cli.inputs import add_places, nothing_in, places_of, whole_machine
from otel_ext.cli.span_table import Look, json_line, table_lines
from otel_ext.cli.streams import can_show_unicode, painter_for, say, say_json, warn, width_of
from otel_ext.observe.snapshot import Collector, Running, Snapshot
from otel_ext.observe.stack_requests import ask
from otel_ext.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from otel_ext.cli.registry import Subparsers
    from otel_ext.observe.processes import RunningProcess

__all__ = ["add_filters", "chosen", "explain_nothing", "register", "run", "tell_silent"]

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
    add_places(parser)
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
    found = places_of(args)
    collector = Collector(found, elsewhere=args.other_hosts)
    snapshot = collector.collect()
    if args.asks:
        shown = {span.process.id for span in chosen(snapshot, args)}
        silent = ask(process for process in snapshot.processes if process.id in shown)
        # What has no ring buffer cannot be asked, which is no news.
        tell_silent([process for process in silent if process.rings])
        snapshot = collector.collect()
    spans = chosen(snapshot, args)
    if args.json:
        for span in spans:
            say_json(json_line(span))
    elif spans:
        _show(spans, snapshot, args)
    if not spans:
        warn(nothing_in(found, args) or explain_nothing(snapshot, args))
        return 1
    return 0


def _show(spans: Sequence[Running], snapshot: Snapshot, args: argparse.Namespace) -> None:
    look = Look(
        width_of(sys.stdout),
        painter_for(sys.stdout, enabled=not args.no_color),
        tree=args.tree,
        ascii_only=not can_show_unicode(sys.stdout),
    )
    for line in table_lines(spans, snapshot.time_ns, look):
        say(line)
    remarks = {span.process.label: span.process.remark for span in spans if span.process.remark}
    for label, remark in remarks.items():
        warn(f"process {printable(label)}: {remark}")
    lost = {str(span.process.folder) for span in spans if span.state == "lost"}
    if lost and sys.stdout.isatty():
        names = " ".join(shown(shlex.quote(name)) for name in sorted(lost))
        warn(f"what is lost can be closed: otel-ext recover {names}")


def explain_nothing(snapshot: Snapshot, args: argparse.Namespace) -> str:
    """Return why nothing is shown where there are records, and the way on."""
    if snapshot.spans:
        return f"none of {len(snapshot.spans):,} open spans is asked for by the options"
    names = ", ".join(map(shown, snapshot.folders))
    living = sum(process.lives for process in snapshot.processes)
    programs = "no program is" if not living else f"{living} programs are"
    if living == 1:
        programs = "1 program is"
    return f"no span is open in {names}; {programs} recording there{whole_machine(args)}"


def chosen(snapshot: Snapshot, args: argparse.Namespace) -> list[Running]:
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


def tell_silent(silent: Sequence[RunningProcess]) -> None:
    """Say which processes did not answer."""
    for process in silent:
        label = printable(process.label)
        warn(f"process {label} does not answer; what it wrote last is shown")
