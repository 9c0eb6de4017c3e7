"""Which files and folders a command looks at: one rule, and the same words, for all of them.

A command looks at what is named; else at what the setting `output` names, as a program
started here would have it; with `--all` at each folder that a running program of this
machine records into, and at the setting's. A place that is missing, cannot be read or
holds something else is an error. That there are no records in it is no error: a command
that finds nothing to show says so by `nothing_in`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.cli.input_checks import Takes, is_there, require_readable, shown
from otel_ext.cli.streams import warn
from otel_ext.config import load_leniently
from otel_ext.errors import OtelExtError, UsageError
from otel_ext.journal.files import list_rings, list_segments
from otel_ext.journal.folders import find_folders
from otel_ext.setup.starting import with_usable_output
from otel_ext.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

__all__ = [
    "STDIN",
    "add_places",
    "machine_places",
    "nothing_in",
    "places_of",
    "whole_machine",
]

STDIN: Final = Path("-")
_LONGEST: Final = 4_096
_START: Final = "Start a program: otel-ext run -- python app.py"
_WHAT: Final[dict[Takes, tuple[str, str]]] = {
    "places": ("FILE|DIR", "file or folder of records"),
    "folders": ("DIR", "folder of records"),
    "streams": ("FILE|DIR", "file or folder of records, or - for the standard input"),
}


def add_places(parser: argparse.ArgumentParser, takes: Takes = "places") -> None:
    """Add the arguments that say where to look; `places_of` reads them.

    Args:
        parser: Of the command.
        takes: What the command can look at.
    """
    metavar, what = _WHAT[takes]
    parser.add_argument(
        "places",
        nargs="*",
        metavar=metavar,
        help=f"{what}; there may be several (default: the setting output)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="the whole machine: where running programs record, and the setting output",
    )
    parser.set_defaults(takes=takes, prog=parser.prog)


def places_of(args: argparse.Namespace) -> list[Path]:
    """Return where a command shall look, each place once; as named, not made absolute.

    Args:
        args: What the arguments of `add_places` were given.

    Raises:
        UsageError: A place is missing, cannot be read, or is something else.
        ConfigError: The setting `strict` is on, and something is wrong in the configuration.
    """
    if args.all and args.places:
        way_out = "Leave one of them out"
        if hasattr(args, "other_hosts"):
            way_out += "; --other-hosts shows the spans of other machines in a folder"
        message = f"--all is the whole machine, and {shown(args.places[0])} is one place of it"
        raise UsageError(message, hint=way_out)
    if args.all:
        found = machine_places()
    elif args.places:
        found = [_named(name, args) for name in args.places]
    else:
        found = [_place_of_setting(args)]
    if args.takes == "folders":
        # The setting may name a single file: its ring buffer is beside it.
        found = [place.absolute().parent if place.is_file() else place for place in found]
    return _each_once(found)


def machine_places(*, quiet: bool = False) -> list[Path]:
    """Return each folder that a running program records into, and what `output` names, if there.

    Args:
        quiet: Whether to say nothing of a place or a configuration that is wrong.
    """
    found = find_folders()
    try:
        config = load_leniently()
        place = config.output.folder.absolute()
        if is_there(place):
            require_readable(place, shown(place), "places", "")
            found.append(place)
    except (OtelExtError, OSError) as error:
        if not quiet:
            warn(f"{printable(str(error), _LONGEST)} (so the setting output is left out)")
    return _each_once(found)


def nothing_in(places: Sequence[Path], args: argparse.Namespace) -> str:
    """Return that none of the places holds records, and the way on; empty if one does."""
    if any(map(_has_records, places)):
        return ""
    if not places:
        return f"no running program of this machine records spans. {_START}"
    names = ", ".join(shown(place.absolute()) for place in places)
    return f"no records in {names}. {_START}{whole_machine(args)}"


def whole_machine(args: argparse.Namespace) -> str:
    """Return how to look at the whole machine, to end a sentence; empty where that was done."""
    return "" if args.all else f"; the whole machine: {args.prog} --all"


def _place_of_setting(args: argparse.Namespace) -> Path:
    """Return the place that a program started here would record into."""
    config = load_leniently()
    for warning in config.warnings:
        warn(printable(warning, _LONGEST))
    if not is_there(config.output.folder):
        # Where it cannot be made, the program takes another, and says the same.
        config, problem = with_usable_output(config)
        if problem:
            warn(printable(problem, _LONGEST))
    place = config.output.folder
    source = config.source_of("output")
    label = f"{shown(place.absolute())} (setting output, {printable(str(source), _LONGEST)})"
    require_readable(place, label, args.takes, f"{_START}{whole_machine(args)}")
    return place


def _named(name: str, args: argparse.Namespace) -> Path:
    """Return the place of that name."""
    if args.takes == "streams" and name == str(STDIN):
        return STDIN
    if not name:
        raise UsageError("the name of a file or folder is empty", hint="Name one, or leave it out")
    path = Path(name)
    if path == STDIN:
        path = path.absolute()
    require_readable(path, shown(name), args.takes, f"Name another{whole_machine(args)}")
    if args.takes == "folders" and not path.is_dir():
        hint = f"Give the folder it is in: {args.prog} {shown(path.parent)}"
        raise UsageError(f"{shown(name)}: a file, not a folder", hint=hint)
    return path


def _has_records(place: Path) -> bool:
    try:
        if place == STDIN or not place.is_dir():
            return place == STDIN or place.stat().st_size > 0
    except OSError:
        return False
    return bool(list_segments(place) or list_rings(place))


def _each_once(places: Iterable[Path]) -> list[Path]:
    """Return the places without those that another one stands for: the same, or its folder."""
    kept: dict[str, Path] = {}
    for place in places:
        kept.setdefault(os.path.realpath(place), place)
    return [
        place
        for real, place in kept.items()
        if str(Path(real).parent) not in kept or place.suffix != ".jsonl" or place.is_dir()
    ]
