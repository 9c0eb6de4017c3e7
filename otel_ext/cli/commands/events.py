"""`otel-ext events`: prints the events that programs have recorded, one in each line."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections import OrderedDict
from contextlib import closing, suppress
from time import sleep
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import add_color, moment, whole_number
from otel_ext.cli.commands.tail.files import FollowedFiles
from otel_ext.cli.event_table import event_json, event_lines
from otel_ext.cli.inputs import MachineSearch, add_inputs, inputs_of, no_records_message
from otel_ext.errors import StoreError, UsageError
from otel_ext.observe.event_files import events_in_lines
from otel_ext.observe.event_query import EVENT_KINDS, EventQuery
from otel_ext.observe.introductions import process_names_in
from otel_ext.store.event_finder import EventFinder
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_lines, warn
from otel_ext.terminal.text import LONGEST, printable, printable_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from otel_ext.observe.event_query import EventPlace, RecordedEvent
    from otel_ext.observe.process_names import ProcessName

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = "Print the events that programs have recorded, oldest first."
_EPILOG: Final = """\
An event is what a program records with record_event, or what happens to what
lives in it: an agent, a service, a child of a supervisor, a checkpoint.

The files of a folder are read, and its store, if there is one: it has events
whose files were deleted, and those that a server has received. --follow reads
files only.

examples:
  otel-ext events                           the newest of the setting output
  otel-ext events --name 'cache.*' --since 5m traces
  otel-ext events --trace 4bf92f --kind all logs too, of one trace
  otel-ext events --correlation order-7 --limit 0 --json
  otel-ext events --entity agent:importer-1 what happened to this agent
  otel-ext events --follow                  and each new one, until Ctrl-C
  otel-ext events traces/.store             from the store alone

exit code: 0 if one is shown, 1 if none, 2 for wrong use or a wrong folder, 130
after Ctrl-C
"""
_LIMIT: Final = 100
_PAUSE: Final = 0.1
_MOST_PROBLEMS: Final = 5
_MAX_REMEMBERED: Final = 100_000
_HEX: Final = frozenset("0123456789abcdef")
_TRACE_DIGITS: Final = 32
_KINDS: Final = {"event": ("event",), "log": ("log",), "all": EVENT_KINDS}


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    add_inputs(parser)
    add = parser.add_argument
    add("--name", default="", metavar="GLOB", help="only those of this name (*, ?, [...])")
    add(
        "--since",
        type=moment,
        default=0,
        metavar="WHEN",
        help="only those since then: 10m ago, or 2026-11-29T12:00",
    )
    add("--until", type=moment, metavar="WHEN", help="only those before")
    add(
        "--trace",
        type=_trace,
        metavar="ID",
        help="only those of traces whose id begins with ID",
    )
    add(
        "--correlation",
        type=_word,
        metavar="ID",
        help="only those with this attribute correlation_id or correlation.id",
    )
    add("--process", type=_word, metavar="PID", help="only those of this pid or id")
    add(
        "--entity",
        type=_entity,
        default=("", ""),
        metavar="TYPE[:ID]",
        help="only those about such an entity, such as agent:importer-1",
    )
    add("--kind", choices=tuple(_KINDS), default="event", help="events, logs or both")
    add(
        "--limit",
        type=whole_number,
        default=_LIMIT,
        metavar="N",
        help=f"the newest N (default: {_LIMIT}); 0 for all",
    )
    add("--follow", action="store_true", help="go on with each new one, until Ctrl-C")
    add_color(parser)
    add("--json", action="store_true", help="print one JSON object for each event")


def _trace(text: str) -> str:
    lower = text.lower()
    if 0 < len(lower) <= _TRACE_DIGITS and _HEX.issuperset(lower):
        return lower
    message = f"{printable(text)!r} is not the beginning of a trace id; use hexadecimal digits"
    raise ArgumentTypeError(message)


def _word(text: str) -> str:
    if text:
        return text
    raise ArgumentTypeError("the value is empty; leave the option out to have all")


def _entity(text: str) -> tuple[str, str]:
    kind, colon, name = text.partition(":")
    if kind and (name or not colon):
        return kind, name
    message = f"{printable(text)!r} is not an entity; use TYPE or TYPE:ID, such as agent:importer-1"
    raise ArgumentTypeError(message)


def run(args: argparse.Namespace) -> int:
    """Print the events, and return the exit code."""
    if args.until is not None and args.until <= args.since:
        message = "--until is not after --since"
        raise UsageError(message, hint="Give a later time, or leave one of them out")
    found = inputs_of(args)
    finder = EventFinder(found, with_stores=not args.follow)
    paths = finder.files
    if args.follow and finder.stores:
        hint = f"Name the folder of records: {args.prog} --follow DIR"
        raise UsageError(f"{printable_path(finder.stores[0])}: --follow reads no store", hint=hint)
    query = _query(args)
    followed = FollowedFiles(paths)
    if args.follow:
        followed.last_lines(0)  # what comes from here on is new
    events = finder.events(query)
    _warn_of(finder.problems)
    names = _names_in(finder)
    shown = _Shown(args, names)
    shown.show(events[::-1])
    if args.follow:
        _follow(followed, query, shown, args)
    if not events:
        warn(_why_none(found, paths, args))
    return 0 if events else 1


def _query(args: argparse.Namespace) -> EventQuery:
    kind, name = args.entity
    return EventQuery(
        kinds=_KINDS[args.kind],
        name=args.name,
        since_ns=args.since,
        until_ns=args.until,
        trace_id=args.trace or "",
        correlation=args.correlation or "",
        process=args.process or "",
        entity_type=kind,
        entity_id=name,
        limit=args.limit or sys.maxsize,
    )


def _warn_of(problems: Sequence[str]) -> None:
    """Warn of what could not be read."""
    for problem in problems[:_MOST_PROBLEMS]:
        warn(printable(problem, LONGEST))
    if len(problems) > _MOST_PROBLEMS:
        warn(f"{len(problems) - _MOST_PROBLEMS:,} more files cannot be read")


def _names_in(finder: EventFinder) -> Mapping[str, ProcessName]:
    """Return how the processes of all inputs are called."""
    names = process_names_in(finder.files)
    for path in (*finder.stores, *finder.stores_beside):
        from otel_ext.store.sqlite.store import SqliteStore  # noqa: PLC0415 - few need it
        from otel_ext.store.stored import StoredTraces  # noqa: PLC0415

        with suppress(StoreError), closing(SqliteStore(path)) as store:
            names |= StoredTraces(store).processes
    return names


class _Shown:
    """Prints events, each once."""

    def __init__(self, args: argparse.Namespace, names: Mapping[str, ProcessName]) -> None:
        self._args = args
        self.names = names
        self._places: OrderedDict[EventPlace, None] = OrderedDict()

    def show(self, events: Iterable[RecordedEvent]) -> None:
        """Print those that were not printed before."""
        new = [event for event in events if event.place not in self._places]
        if not new:
            return
        if self._args.json:
            for event in new:
                print_json(event_json(event, self.names))
        else:
            canvas = Canvas.of(sys.stdout, color=self._args.color)
            print_lines(event_lines(new, self.names, canvas, heading=not self._places))
        sys.stdout.flush()
        self._places.update(dict.fromkeys(event.place for event in new))
        while len(self._places) > _MAX_REMEMBERED:
            self._places.popitem(last=False)


def _follow(
    followed: FollowedFiles, query: EventQuery, shown: _Shown, args: argparse.Namespace
) -> None:
    """Print each new event, until Ctrl-C."""
    search = MachineSearch(args)
    while True:
        sleep(_PAUSE)
        if (inputs := search.due()) is not None:
            followed.paths = inputs
        lines = followed.new_lines()
        events = [event for event in events_in_lines(lines) if query.matches(event)]
        if any(event.place.process not in shown.names for event in events):
            shown.names = process_names_in(followed.paths)
        shown.show(events)


def _why_none(found: Sequence[Path], paths: Sequence[Path], args: argparse.Namespace) -> str:
    """Return why no event is shown, and what to try."""
    if paths == found and (message := no_records_message(found, args)):
        return message
    names = ", ".join(printable_path(path) for path in found)
    what = {"event": "event", "log": "log", "all": "event or log"}[args.kind]
    return f"no {what} in {names} matches the options; without options all are shown"
