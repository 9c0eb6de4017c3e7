"""Shows traces live: the newest on the screen of a terminal; else each when it has ended."""

from __future__ import annotations

import sys
from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.cli.inputs import MachineSearch, inputs_of
from otel_ext.cli.traces.ended import EndedTraces, is_going_on
from otel_ext.cli.traces.reader import TraceReader
from otel_ext.errors import UsageError
from otel_ext.readable import count_of
from otel_ext.terminal.output import print_lines, warn
from otel_ext.terminal.screen import Screen

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from otel_ext.cli.traces.reader import Chosen, ChosenTraces

    Lines = Callable[[Chosen, ChosenTraces], list[str]]

__all__ = ["add_follow", "follow"]

_SECONDS: Final = 1.0
_FOOT: Final = "q quit"
_LEAST_HEIGHT: Final = 3


def add_follow(parser: argparse.ArgumentParser) -> None:
    """Add the option `--follow`."""
    parser.add_argument(
        "--follow",
        action="store_true",
        help="live: what runs and what has just ended; into a pipe, each trace at its end",
    )


def follow(args: argparse.Namespace, lines_of: Lines) -> int:
    """Show the traces that options choose, again and again, until a key or Ctrl-C.

    Args:
        args: The command's arguments.
        lines_of: Returns the lines of one trace.

    Raises:
        UsageError: An option does not fit to it, or is wrong.
    """
    if getattr(args, "json", False):
        raise UsageError("--json cannot be combined with --follow", hint="Use otel-ext tail --json")
    if not args.last:
        raise UsageError("--last 0 cannot be combined with --follow", hint="Use a number")
    reader = TraceReader(args, inputs_of(args), since_ns=args.since or 0)
    search = MachineSearch(args)
    ended = EndedTraces()
    # Before there is a screen, which a progress bar would disturb.
    found = reader.read_all(is_first=True)
    is_first = True
    with Screen(sys.stdout, live=True) as screen:
        try:
            while True:
                due = [one for one in ended.look(found.traces, time_ns()) if one.is_chosen]
                kept = ended.kept()
                if screen.is_live:
                    shown = _shown(found.traces, args.last)
                    screen.show(_screen_lines(shown, found, lines_of, screen))
                    kept |= {one.tree.trace_id for one in shown}
                else:
                    due = _without_earlier(due, args.last, ended) if is_first else due
                    _print(due, found, lines_of, ended)
                is_first = False
                reader.forget(kept)
                if screen.key(_SECONDS) == "q":
                    return 0
                if (paths := search.due()) is not None:
                    reader.look_in(paths)
                found = reader.read_all()
        except KeyboardInterrupt:
            return 0  # the usual way to leave it
        finally:
            if not screen.is_live and not ended.has_reported:
                warn("no trace has ended")


def _shown(traces: Sequence[Chosen], last: int) -> list[Chosen]:
    """Return the traces for a screen: all that go on, below the newest others up to a number."""
    chosen = [one for one in traces if one.is_chosen]
    going_on = [one for one in chosen if is_going_on(one.tree)]
    room = max(last - len(going_on), 0)
    others = [one for one in chosen if not is_going_on(one.tree)]
    return [*others[len(others) - min(room, len(others)) :], *going_on]


def _screen_lines(
    shown: Sequence[Chosen], found: ChosenTraces, lines_of: Lines, screen: Screen
) -> list[str]:
    """Return what fits on the screen: the end of the lines."""
    lines = [line for one in shown for line in lines_of(one, found)]
    room = max(screen.height - 1, _LEAST_HEIGHT)
    lines = lines or [found.nothing or "no trace yet"]
    if len(lines) > room:
        left_out = len(lines) - room + 1
        lines = [f"… {left_out:,} lines above; --depth and --running show fewer", *lines[left_out:]]
    return [*lines, *[""] * (room - len(lines)), _FOOT if screen.has_keys else ""]


def _without_earlier(due: list[Chosen], last: int, ended: EndedTraces) -> list[Chosen]:
    """Return the newest of the traces that ended before the command began, as `--last` says."""
    earlier = due[:-last]
    for one in earlier:
        ended.report(one)
    if earlier:
        warn(f"earlier traces not shown: {len(earlier):,}; a greater --last shows more")
    return due[-last:]


def _print(due: Sequence[Chosen], found: ChosenTraces, lines_of: Lines, ended: EndedTraces) -> None:
    for one in due:
        head, *lines = lines_of(one, found)
        added = ended.report(one)
        if added is not None:
            # Its earlier lines cannot be taken back.
            number = f": {count_of(added, 'more span')}" if added else ""
            head = f"{head}  continued{number}"
        print_lines([head, *lines])
    sys.stdout.flush()
