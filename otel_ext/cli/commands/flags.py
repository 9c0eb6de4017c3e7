"""`otel-ext flags`: shows and changes how far the flags of a flag file are rolled out.

Exit code 0 if it is done, 2 for wrong use or a wrong file, which is then as it was.
"""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.cli.arguments import add_color, percent
from otel_ext.flags.editing import enforce, list_rollouts, roll_back, set_stage
from otel_ext.flags.stages import ENFORCED_STAGE
from otel_ext.readable import as_utf8
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, print_lines
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    import argparse

    from otel_ext.flags.editing import Changed, Listed
    from otel_ext.flags.stages import Rollout

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Show and change how far the feature flags of a file are rolled out. A flag is
at stage 0 (off), 1 to 4 (on for a percentage of the traces: 1, 10, 25 and 50)
or 5 (enforced: on for all, also when it cannot be evaluated). A trace that is
in stays in at a higher percentage. The file stays a document of flagd, and is
replaced as a whole; programs read it again within a second or two.

examples:
  otel-ext flags stage flags.json new-search 1 --create
  otel-ext flags stage flags.json new-search 2
  otel-ext flags stage flags.json new-search 1 --percentages 0.5,5,20,50,100
  otel-ext flags list flags.json
  otel-ext flags rollback flags.json new-search
  otel-ext flags enforce flags.json new-search --json

exit code: 0 if it is done; 2 for wrong use or a wrong file, which then stays
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description, and the actions with their arguments."""
    parser.description = _DESCRIPTION
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the flags of a file, with stage and percentage")
    stage = actions.add_parser("stage", help="put a flag to stage N, from whichever it is at")
    rollback = actions.add_parser("rollback", help="back to the stage before; again: to 0")
    enforced = actions.add_parser("enforce", help="put a flag to stage 5 at once")
    for one in (listing, stage, rollback, enforced):
        one.add_argument("file", metavar="FILE", type=Path, help="flag file, JSON of flagd")
        if one is not listing:
            one.add_argument("flag", metavar="FLAG", help="name of the flag")
        one.add_argument("--json", action="store_true", help="print one JSON object per flag")
    add_color(listing)
    stage.add_argument("stage", metavar="N", type=_stage, help="0 to 5")
    stage.add_argument(
        "--create", action="store_true", help="make the flag, and the file, if missing"
    )
    stage.add_argument(
        "--percentages",
        type=_percentages,
        metavar="P,P,P,P,100",
        help="the percentages of stages 1 to 5 from now on",
    )
    rollback.add_argument(
        "--to", type=_stage, metavar="N", help="the stage to go back to (default: the one before)"
    )
    parser.set_defaults(prog=parser.prog)


def run(args: argparse.Namespace) -> int:
    """Show or change flags, and return the exit code."""
    if args.action == "list":
        _print_list(list_rollouts(args.file), args)
        return 0
    if args.action == "stage":
        changed = set_stage(
            args.file, args.flag, args.stage, percentages=args.percentages, create=args.create
        )
    elif args.action == "rollback":
        changed = roll_back(args.file, args.flag, to=args.to)
    else:
        changed = enforce(args.file, args.flag)
    if args.json:
        before = None if changed.before is None else changed.before.stage
        document = _as_dict(changed.name, changed.after, enabled=changed.enabled)
        print_json(orjson.dumps({**document, "stage_before": before}))
    else:
        print_line(_sentence(changed))
    return 0


def _stage(text: str) -> int:
    """Parse a stage, for argparse's `type`."""
    if text in {str(number) for number in range(ENFORCED_STAGE + 1)}:
        return int(text)
    raise ArgumentTypeError(f"{printable(text)!r} is not a stage; use 0 to {ENFORCED_STAGE}")


def _percentages(text: str) -> list[float]:
    """Parse five percentages, for argparse's `type`."""
    try:
        return [percent(one.strip()) for one in text.split(",")]
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{error}, five with commas between") from None


def _print_list(found: list[Listed], args: argparse.Namespace) -> None:
    if args.json:
        for one in found:
            document = _as_dict(one.name, one.rollout, enabled=one.enabled)
            print_json(orjson.dumps(document))
        return
    columns = (
        Column("FLAG", share=1.0, least=20),
        Column("STAGE", is_number=True),
        Column("TRACES", is_number=True),
        Column("SINCE", optional=1),
        Column("STATE"),
    )
    rows = [
        (
            printable(one.name),
            "-" if one.rollout is None else str(one.rollout.stage),
            "-" if one.rollout is None else f"{one.rollout.percentage:g} %",
            _since(one.rollout),
            _state(one.rollout, enabled=one.enabled),
        )
        for one in found
    ]
    print_lines(table_lines(columns, rows, Canvas.of(sys.stdout, color=args.color)))


def _since(rollout: Rollout | None) -> str:
    if rollout is None or not rollout.history:
        return "-"
    return printable(rollout.history[-1].time)


def _state(rollout: Rollout | None, *, enabled: bool) -> str:
    if not enabled:
        return "disabled"
    return "enforced" if rollout is not None and rollout.is_enforced else "enabled"


def _sentence(changed: Changed) -> str:
    after = changed.after
    was = "no stage" if changed.before is None else f"stage {changed.before.stage}"
    share = f"{after.percentage:g} % of the traces"
    if after.is_enforced:
        share = "all traces, enforced"
    note = "" if changed.enabled else "; no effect: the flag is DISABLED"
    return f"{printable(changed.name)}: {was} → stage {after.stage}, on for {share}{note}"


def _as_dict(name: str, rollout: Rollout | None, *, enabled: bool) -> dict[str, object]:
    found: dict[str, object] = {"flag": as_utf8(name), "enabled": enabled}
    if rollout is None:
        return {**found, "stage": None}
    return {
        **found,
        "stage": rollout.stage,
        "percentage": rollout.percentage,
        "enforced": rollout.is_enforced,
        "percentages": rollout.percentages,
        "history": [{"stage": step.stage, "time": as_utf8(step.time)} for step in rollout.history],
    }
