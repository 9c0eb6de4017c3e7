"""`otel-ext top`: shows the spans that run now, live."""

from __future__ import annotations

import sys
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import seconds, whole_number
from otel_ext.cli.commands.ps import add_filters, select_spans
from otel_ext.cli.commands.top.view import SORTS, Frame, RateMeter, frame_lines
from otel_ext.cli.inputs import MachineSearch, inputs_of, no_records_message
from otel_ext.cli.span_table import json_line
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, warn
from otel_ext.terminal.screen import Screen

if TYPE_CHECKING:
    import argparse

__all__ = ["run", "set_up"]

_EPILOG: Final = """\
keys:
  q   quit              s   sort by age, state, name or process
  t   tree or list      p   pause

States and locations are those of `otel-ext ps`. The programs are not asked, so
one that hangs is shown as well.

examples:
  otel-ext top                     the folder in the setting output
  otel-ext top --all               all programs of this machine that record
  otel-ext top --once --stalled    one screen, for scripts
  otel-ext top traces --interval 5

exit code: 0 if the last screen shows a span or a key ended it, 1 if it shows
none, 2 for wrong use or a wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = "Show the spans that run now, live."
    parser.epilog = _EPILOG
    add_filters(parser)
    parser.add_argument("--sort", choices=SORTS, default=SORTS[0], help="order (default: age)")
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=partial(seconds, minimum=0.1, maximum=3_600.0),
        default=1.0,
        help="time between screens (default: 1)",
    )
    parser.add_argument(
        "--iterations",
        metavar="N",
        type=partial(whole_number, minimum=1),
        default=0,
        help="stop after N screens",
    )
    parser.add_argument(
        "--once", dest="iterations", action="store_const", const=1, help="print one screen and stop"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per screen")


def run(args: argparse.Namespace) -> int:
    """Show screens until a key or the number of screens ends it."""
    top = _Top(args)
    if args.json:
        return top.print_frames_as_json()
    with Screen(sys.stdout, live=not args.iterations) as screen:
        try:
            return top.show_on(screen)
        except KeyboardInterrupt:
            return 0  # the usual way to leave such a program


class _Top:
    """Reads and shows the spans; remembers order, tree and pause."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        found = inputs_of(args)
        self._reader = SnapshotReader(found, other_hosts=args.other_hosts)
        if reason := no_records_message(found, args):
            warn(reason)
        self._search = MachineSearch(args)
        self._meter = RateMeter()
        self._order: str = args.sort
        self._tree: bool = args.tree
        self._paused = False

    def _read(self) -> Frame:
        """Read the running spans once."""
        if (found := self._search.due()) is not None:
            self._reader.paths = found
        snapshot = self._reader.read()
        living = [process for process in snapshot.processes if process.lives]
        rate = self._meter.add(monotonic(), {one.id: one.last_seq for one in living})
        return Frame(snapshot.time_ns, len(living), select_spans(snapshot, self._args), rate)

    def show_on(self, screen: Screen) -> int:
        """Show the spans on `screen` until a key or the number of screens ends it."""
        number = 0
        frame = self._read()
        while True:
            number += 1
            self._show(frame, screen)
            if number == self._args.iterations:
                return 0 if frame.spans else 1
            if not self._wait(frame, screen):
                return 0
            if not self._paused:
                frame = self._read()

    def _wait(self, frame: Frame, screen: Screen) -> bool:
        """Wait for the next screen and handle keys meanwhile; return False to quit."""
        until = monotonic() + self._args.interval
        while (left := until - monotonic()) > 0:
            key = screen.key(left)
            if key == "q":
                return False
            if key == "s":
                self._order = SORTS[(SORTS.index(self._order) + 1) % len(SORTS)]
            elif key == "t":
                self._tree = not self._tree
            elif key == "p":
                self._paused = not self._paused
            else:
                continue
            self._show(frame, screen)
        return True

    def _show(self, frame: Frame, screen: Screen) -> None:
        note = f"{'as trees, ' if self._tree else ''}sorted by {self._order}"
        lines = frame_lines(
            frame.sorted_by(self._order),
            Canvas.of(sys.stdout, color=self._args.color),
            tree=self._tree,
            height=screen.height,
            note=f"{note}, paused" if self._paused else note,
            has_keys=screen.has_keys,
        )
        screen.show(lines)

    def print_frames_as_json(self) -> int:
        """Print one JSON object per screen until the number of screens ends it."""
        number = 0
        while True:
            number += 1
            frame = self._read()
            head = {
                "time": format_ns(frame.time_ns),
                "processes": frame.processes,
                "open": frame.open,
                "records_per_second": frame.rate,
            }
            lines = b",".join(map(json_line, frame.sorted_by(self._order).spans))
            # Joined as bytes: each line is an encoded object already.
            print_json(b'%b,"spans":[%b]}' % (encode_object(head)[:-1], lines))
            sys.stdout.flush()
            if number == self._args.iterations:
                return 0 if frame.spans else 1
            sleep(self._args.interval)
