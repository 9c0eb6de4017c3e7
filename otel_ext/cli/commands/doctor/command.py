"""`otel-ext doctor`: checks which parts are healthy, and prints what to do about the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import add_color
from otel_ext.cli.commands.doctor.install import check_installation, check_platform, check_zero_code
from otel_ext.cli.commands.doctor.programs import check_processes
from otel_ext.cli.commands.doctor.records import check_folder, check_settings
from otel_ext.cli.inputs import add_inputs, inputs_of
from otel_ext.config import Config, load_leniently
from otel_ext.errors import OtelExtError
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.readable import as_utf8
from otel_ext.record.sanitise.values import encode_object
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line
from otel_ext.terminal.text import LONGEST, printable, wrapped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from otel_ext.cli.commands.doctor.check import Check, Finding

__all__ = ["run", "set_up"]

_STATES: Final[dict[Finding, tuple[str, str]]] = {
    "healthy": ("green", "ok"),
    "note": ("cyan", "note"),
    "degraded": ("yellow", "weak"),
    "failed": ("red", "FAIL"),
}
_PART: Final = 30
_EPILOG: Final = """\
words:
  ok     as it should be
  note   worth knowing, nothing to repair
  weak   works, but not as it should; the line below shows what to do
  FAIL   does not work

examples:
  otel-ext doctor                the folder in the setting output
  otel-ext doctor traces         another folder
  otel-ext doctor --all          all programs of this machine that record spans

exit code: 0 if nothing is weak or fails, 1 otherwise, 2 for wrong use or a
wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = "Check the installation, settings, folders and running programs."
    parser.epilog = _EPILOG
    add_inputs(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_color(parser)


def run(args: argparse.Namespace) -> int:
    """Run all checks and print them; return 0 if nothing needs attention, else 1."""
    groups = _checks(args)
    pending = sum(check.needs_attention for checks in groups.values() for check in checks)
    if args.json:
        print_json(_as_json(groups, is_healthy=not pending))
    else:
        _show(groups, pending, Canvas.of(sys.stdout, color=args.color))
    return 1 if pending else 0


def _checks(args: argparse.Namespace) -> dict[str, list[Check]]:
    """Run all checks, and return them by the heading to print them under."""
    config, settings = check_settings()
    effective = config or _lenient_config()
    # The folder of the setting is checked rather than required: programs create it.
    found = inputs_of(args) if args.inputs or args.all else []
    folders = [path.absolute() for path in found or [effective.output.folder]]
    return {
        "Installation": list(check_installation()),
        "Zero-code": list(check_zero_code()),
        "Settings": settings,
        **{f"Records in {folder}": list(check_folder(folder, effective)) for folder in folders},
        "Programs": list(check_processes(SnapshotReader(folders).read())),
        "This machine": list(check_platform()),
    }


def _lenient_config() -> Config:
    """Return the configuration that a program would use although something in it is wrong."""
    try:
        return load_leniently()
    except OtelExtError:  # with the setting `strict` a program does not start
        return Config()


def _show(groups: Mapping[str, list[Check]], pending: int, canvas: Canvas) -> None:
    paint = canvas.paint
    width = max(canvas.width or 100, 50)
    everything = [check for checks in groups.values() for check in checks]
    part_width = min(max(len(check.part) for check in everything), _PART)
    for heading, checks in groups.items():
        print_line(paint("bold", printable(heading, LONGEST)))
        for check in checks:
            style, word = _STATES[check.state]
            head = f"  {word:<4}  {printable(check.part):<{part_width}}  "
            lines = wrapped(check.detail, width - len(head)) or [""]
            print_line(head.replace(word, paint(style, word), 1) + lines[0])
            for line in [*lines[1:], *wrapped(check.hint, width - len(head))]:
                print_line(" " * len(head) + line)
        print_line("")
    need = "needs" if pending == 1 else "need"
    outcome = (
        f"{pending} of {len(everything)} checks {need} attention" if pending else "all is well"
    )
    print_line(paint("bold", outcome))


def _as_json(groups: Mapping[str, list[Check]], *, is_healthy: bool) -> bytes:
    parts = [
        {
            "group": as_utf8(heading),
            "part": as_utf8(check.part),
            "state": check.state,
            "detail": as_utf8(check.detail),
            "hint": as_utf8(check.hint) or None,
        }
        for heading, checks in groups.items()
        for check in checks
    ]
    return encode_object({"healthy": is_healthy, "parts": parts})
