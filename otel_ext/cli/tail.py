"""`otel-ext tail`: follow records as they are written, for people or as JSON lines.

Exit code 0 when all was shown, 2 for a wrong use, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from time import sleep
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import line_count
from otel_ext.cli.ps import places
from otel_ext.cli.streams import can_show_unicode, painter_for, say, say_json, warn, width_of
from otel_ext.cli.tail_files import Followed
from otel_ext.errors import RecordError, UsageError
from otel_ext.exporters.console_lines import LineRenderer
from otel_ext.record.decode import decode_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from otel_ext.cli.commands import Subparsers
    from otel_ext.record.model import Record

__all__ = ["register", "run"]

_DESCRIPTION: Final = """\
Shows the last records and then each new one, of all processes together. Ctrl-C ends it.

examples:
  otel-ext tail traces                       follow a folder, new files included
  otel-ext tail --json traces | grep ERROR   the lines as they are
  otel-ext tail --no-follow --lines 50 traces
"""
_PLAIN_WIDTH: Final = 120
_PAUSE: Final = 0.1
_DEFAULT_LINES: Final = 10
_MAX_REMEMBERED: Final = 100_000


def register(subparsers: Subparsers) -> None:
    """Add the subcommand's parser.

    Args:
        subparsers: Of the parser of `otel-ext`.
    """
    from argparse import RawDescriptionHelpFormatter  # noqa: PLC0415 - argparse is the caller's

    parser = subparsers.add_parser(
        "tail",
        help="follow records as they are written",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("places", nargs="*", metavar="FILE|DIR", help="file or folder of records")
    parser.add_argument(
        "-n",
        "--lines",
        type=line_count,
        default=_DEFAULT_LINES,
        metavar="N",
        help=f"begin with the last N records (default: {_DEFAULT_LINES})",
    )
    parser.add_argument("--no-follow", action="store_true", help="do not wait for more")
    parser.add_argument("--no-color", action="store_true", help="no colour, whatever the terminal")
    parser.add_argument("--json", action="store_true", help="print the lines as they are")


def run(args: argparse.Namespace) -> int:
    """Follow the files of `args` until Ctrl-C, or to their end with `--no-follow`.

    Args:
        args: As `register` defines them.

    Raises:
        UsageError: A file or folder is not there, cannot be read, or is a device.
    """
    found = places(args.places)
    if not found:
        hint = "Name a folder, or start one: otel-ext run -- python app.py"
        raise UsageError("no program here records spans", hint=hint)
    followed = Followed(found)
    show = _say_lines if args.json else _Shown(colour=not args.no_color).show
    show(followed.last(args.lines))
    sys.stdout.flush()
    while not args.no_follow:
        sleep(_PAUSE)
        if lines := followed.news():
            show(lines)
            sys.stdout.flush()
    return 0


def _say_lines(lines: Iterable[bytes]) -> None:
    for line in lines:
        say_json(line)


class _Shown:
    """Prints records for people; what a new file repeats of the one before is left out."""

    def __init__(self, *, colour: bool) -> None:
        self._renderer = LineRenderer(
            painter_for(sys.stdout, enabled=colour),
            lambda: width_of(sys.stdout) or _PLAIN_WIDTH,
            ascii_only=not can_show_unicode(sys.stdout),
        )
        self._open: dict[tuple[str, str], None] = {}
        self._damaged = False

    def show(self, lines: Iterable[bytes]) -> None:
        """Print what the lines say."""
        for line in lines:
            try:
                record = decode_line(line)
            except RecordError:
                self._tell_damage()
                continue
            text = "" if self._is_repeated(record) else self._renderer.render(record)
            if text:
                say(text)

    def _is_repeated(self, record: Record) -> bool:
        if record.phase == "end":
            self._open.pop(record.key, None)
        elif record.phase == "start":
            if record.key in self._open:
                return True
            if len(self._open) < _MAX_REMEMBERED:
                self._open[record.key] = None
        return False

    def _tell_damage(self) -> None:
        if not self._damaged:
            self._damaged = True
            warn("some lines are no records; otel-ext validate names them")
