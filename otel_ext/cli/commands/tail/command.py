"""`otel-ext tail`: prints records as they are written, for people or as JSON lines.

Exit code 0 if all was printed, 1 if there are no records, 2 for wrong use or a wrong
folder, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from time import sleep
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import add_color, whole_number
from otel_ext.cli.commands.tail.files import FollowedFiles
from otel_ext.cli.inputs import MachineSearch, add_inputs, inputs_of, no_records_message
from otel_ext.errors import RecordError
from otel_ext.exporters.console.lines import LineRenderer
from otel_ext.record.decode import decode_line
from otel_ext.terminal.canvas import Canvas, size_of
from otel_ext.terminal.output import print_json, print_line, warn

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from otel_ext.record.model import Record

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Prints the last records of all processes together, then each new one, until
Ctrl-C.

examples:
  otel-ext tail                              the folder in the setting output
  otel-ext tail --all                        all programs of this machine
  otel-ext tail traces                       follow a folder, new files included
  otel-ext tail --json traces | grep ERROR   the lines as they are
  otel-ext tail --no-follow --lines 50 traces

exit code: 0 if all was printed, 1 if there are no records, 2 for wrong use or a
wrong folder, 130 after Ctrl-C
"""
_PLAIN_WIDTH: Final = 120
_PAUSE: Final = 0.1
_DEFAULT_LINES: Final = 10
_MAX_REMEMBERED: Final = 100_000


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_inputs(parser)
    parser.add_argument(
        "-n",
        "--lines",
        type=whole_number,
        default=_DEFAULT_LINES,
        metavar="N",
        help=f"begin with the last N records (default: {_DEFAULT_LINES})",
    )
    parser.add_argument("--no-follow", action="store_true", help="do not wait for more")
    add_color(parser)
    parser.add_argument(
        "--json", action="store_true", help="print the lines as they are in the files"
    )


def run(args: argparse.Namespace) -> int:
    """Follow the files of `args` until Ctrl-C, or to their end with `--no-follow`."""
    found = inputs_of(args)
    if reason := no_records_message(found, args):
        warn(reason)
        if args.no_follow:
            return 1
    followed = FollowedFiles(found)
    show = _print_lines if args.json else _Printer(Canvas.of(sys.stdout, color=args.color)).show
    show(followed.last_lines(args.lines))
    sys.stdout.flush()
    search = MachineSearch(args)
    while not args.no_follow:
        sleep(_PAUSE)
        if (inputs := search.due()) is not None:
            followed.paths = inputs
        if lines := followed.new_lines():
            show(lines)
            sys.stdout.flush()
    return 0


def _print_lines(lines: Iterable[bytes]) -> None:
    for line in lines:
        print_json(line)


class _Printer:
    """Prints records for people, without the starts that a new file repeats."""

    def __init__(self, canvas: Canvas) -> None:
        self._renderer = LineRenderer(canvas, lambda: size_of(sys.stdout)[0] or _PLAIN_WIDTH)
        self._open: dict[tuple[str, str], None] = {}
        self._damaged = False

    def show(self, lines: Iterable[bytes]) -> None:
        """Print the records in the lines."""
        for line in lines:
            try:
                record = decode_line(line)
            except RecordError:
                self._warn_of_damage()
                continue
            text = "" if self._is_repeated(record) else self._renderer.render(record)
            if text:
                print_line(text)

    def _is_repeated(self, record: Record) -> bool:
        if record.phase == "end":
            self._open.pop(record.key, None)
        elif record.phase == "start":
            if record.key in self._open:
                return True
            if len(self._open) < _MAX_REMEMBERED:
                self._open[record.key] = None
        return False

    def _warn_of_damage(self) -> None:
        if not self._damaged:
            self._damaged = True
            warn("some lines are not valid records; otel-ext validate lists them")
