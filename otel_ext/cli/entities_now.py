"""Shows the entities that live now, such as registered agents; a part of `otel-ext ps`."""

from __future__ import annotations

import shlex
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from otel_ext.cli.entity_table import entity_json, entity_lines
from otel_ext.cli.inputs import all_hint, inputs_of, no_records_message
from otel_ext.errors import UsageError
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.observe.stack_requests import request_stacks
from otel_ext.record.entities import AGENT
from otel_ext.terminal.canvas import Canvas, is_terminal
from otel_ext.terminal.output import print_json, print_lines, warn
from otel_ext.terminal.text import printable, printable_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from otel_ext.observe.entities import ObservedEntity
    from otel_ext.observe.snapshot import Snapshot

__all__ = ["add_entity_types", "select_entities", "show_entities"]

_FINE: Final = frozenset({"idle", "running"})


def add_entity_types(parser: argparse.ArgumentParser) -> None:
    """Add the options that show entities in place of spans; `args.entities` is their type."""
    group = parser.add_mutually_exclusive_group()
    for option, kind, what in (
        ("--agents", AGENT, "registered agents"),
        ("--services", "service", "registered services"),
    ):
        group.add_argument(
            option,
            dest="entities",
            action="store_const",
            const=kind,
            help=f"show {what} in place of spans",
        )
    group.add_argument(
        "--entities", metavar="TYPE", help="show what is recorded of this type, such as health"
    )


def show_entities(args: argparse.Namespace) -> int:
    """Print the entities of the type `args.entities`; return 0 if there are any, else 1.

    Raises:
        UsageError: An option is only for spans.
    """
    if args.tree:
        raise UsageError("--tree is only for spans", hint="Leave one of them out")
    found = inputs_of(args)
    reader = SnapshotReader(found, other_hosts=args.other_hosts)
    snapshot = reader.read()
    busy = {one.process.id: one.process for one in select_entities(snapshot, args) if one.span}
    if args.asks and busy:
        request_stacks(list(busy.values()))
        snapshot = reader.read()
    shown = select_entities(snapshot, args)
    if not shown:
        warn(no_records_message(found, args) or _why_none(snapshot, args))
        return 1
    if args.json:
        for one in shown:
            print_json(entity_json(one))
        return 0
    canvas = Canvas.of(sys.stdout, color=args.color)
    print_lines(entity_lines(shown, args.entities, canvas))
    lost = {str(one.process.folder) for one in shown if one.state == "lost"}
    if lost and is_terminal(sys.stdout):
        names = " ".join(printable_path(shlex.quote(name)) for name in sorted(lost))
        warn(f"their processes are gone; to end what is lost: otel-ext recover {names}")
    return 0


def select_entities(snapshot: Snapshot, args: argparse.Namespace) -> Sequence[ObservedEntity]:
    """Return the entities that match the options."""
    older_ns = int(args.older * 1e9)
    return [
        one
        for one in snapshot.entities
        if one.entity.type == args.entities
        and one.age_ns >= older_ns
        and (args.name is None or fnmatchcase(one.entity.id, args.name))
        and (args.process is None or one.process.pid == args.process)
        and (not args.stalled or one.state not in _FINE)
    ]


def _why_none(snapshot: Snapshot, args: argparse.Namespace) -> str:
    """Return why nothing is shown although there are records, and what to try."""
    kind = printable(args.entities)
    number = sum(one.entity.type == args.entities for one in snapshot.entities)
    if number:
        return f"none of {number:,} {kind} entities matches the options"
    names = ", ".join(map(printable_path, snapshot.folders))
    types = sorted({one.entity.type for one in snapshot.entities})
    others = f"; there are {printable(', '.join(types))}" if types else ""
    return f"no {kind} is registered in {names}{others}{all_hint(args)}"
