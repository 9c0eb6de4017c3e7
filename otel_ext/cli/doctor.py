"""`otel-ext doctor`: which parts are healthy, and why not."""

from __future__ import annotations

import shutil
import sys
import textwrap
from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Final

from otel_ext.cli.doctor_install import check_installation, check_platform, check_zero_code
from otel_ext.cli.doctor_records import check_folder, check_processes, check_settings
from otel_ext.cli.ps import places
from otel_ext.cli.running import Collector
from otel_ext.cli.streams import painter_for, say, say_json
from otel_ext.config import Config
from otel_ext.exporters.console_text import printable
from otel_ext.record.values import encode_object

if TYPE_CHECKING:
    import argparse

    from otel_ext.cli.commands import Subparsers
    from otel_ext.cli.doctor_check import Check, Finding

__all__ = ["register", "run"]

_WORDS: Final[dict[Finding, tuple[str, str]]] = {
    "healthy": ("green", "ok"),
    "note": ("cyan", "note"),
    "degraded": ("yellow", "weak"),
    "failed": ("red", "FAIL"),
}
_LONGEST: Final = 4_096
_PART: Final = 30
_EPILOG: Final = """\
words:
  ok     as it should be
  note   worth knowing, nothing to mend
  weak   works, but not as it should; the line below says what to do
  FAIL   does not work

exit code: 0 if nothing is weak or fails, else 1
"""


def register(subparsers: Subparsers) -> None:
    """Add the parser of `otel-ext doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="which parts are healthy, and why not",
        description="Look at installation, settings, folders and running programs.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", nargs="?", metavar="DIR", help="folder of records (default: the setting output)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.add_argument("--no-color", action="store_true", help="no colour (as NO_COLOR=1 does)")


def run(args: argparse.Namespace) -> int:
    """Look at everything; 0 if all is well, else 1.

    Raises:
        UsageError: The folder that was named is not there.
    """
    checks = _all_checks(args.folder)
    if args.json:
        say_json(_as_json(checks))
    else:
        _show(checks, use_colour=not args.no_color)
    return 1 if any(check.is_unwell for check in checks) else 0


def _all_checks(named: str | None) -> list[Check]:
    looked_at = places([named] if named else (), quiet=True)
    config, settings = check_settings()
    used = config or Config()
    folder = looked_at[0] if named else used.output.folder.absolute()
    return [
        *check_installation(),
        *check_zero_code(),
        *settings,
        *check_folder(folder, used),
        *check_processes(Collector(looked_at).collect()),
        *check_platform(),
    ]


def _show(checks: list[Check], *, use_colour: bool) -> None:
    paint = painter_for(sys.stdout, enabled=use_colour)
    width = max(shutil.get_terminal_size().columns if sys.stdout.isatty() else 100, 50)
    part_width = min(max(len(check.part) for check in checks), _PART)
    group = ""
    for check in checks:
        if check.group != group:
            say(("\n" if group else "") + paint("bold", printable(check.group, _LONGEST)))
            group = check.group
        style, word = _WORDS[check.state]
        head = f"  {word:<4}  {printable(check.part):<{part_width}}  "
        lines = _wrap(check.detail, width - len(head)) or [""]
        say(head.replace(word, paint(style, word), 1) + lines[0])
        for line in [*lines[1:], *(_wrap(check.hint, width - len(head)) if check.hint else [])]:
            say(" " * len(head) + line)
    say("")
    unwell = sum(check.is_unwell for check in checks)
    if unwell:
        need = "needs" if unwell == 1 else "need"
        say(paint("bold", f"{unwell} of {len(checks)} checks {need} attention"))
    else:
        say(paint("bold", "all is well"))


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable(text, _LONGEST), max(width, 20), break_long_words=False, break_on_hyphens=False
    )


def _as_json(checks: list[Check]) -> bytes:
    parts = [
        {
            "group": check.group,
            "part": check.part,
            "state": check.state,
            "detail": check.detail,
            "hint": check.hint or None,
        }
        for check in checks
    ]
    is_well = not any(check.is_unwell for check in checks)
    return encode_object({"healthy": is_well, "parts": parts})
