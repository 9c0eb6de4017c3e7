"""Finds the inputs of a command: the files and folders to read, by one rule for all commands.

The inputs are the files and folders in the arguments; without any, the folder in the setting
`output`, as a program started here would use it; with `--all`, each folder that a running
program of this machine records into, and that of the setting. An input that is missing,
cannot be read or does not contain records is an error. An empty folder is not an error: a
command that finds nothing to show prints `no_records_message`.
"""

from __future__ import annotations

import os
import shlex
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.cli.input_checks import InputKind, has_record, is_there, require_readable
from otel_ext.config import load_leniently
from otel_ext.errors import OtelExtError, UsageError
from otel_ext.journal.folders import find_folders
from otel_ext.journal.names import list_rings, list_segments
from otel_ext.setup.starting import with_usable_output
from otel_ext.terminal.output import warn
from otel_ext.terminal.text import printable_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

__all__ = [
    "STDIN",
    "MachineSearch",
    "add_inputs",
    "all_hint",
    "checked_inputs",
    "inputs_of",
    "no_records_message",
]

STDIN: Final = Path("-")
_SEARCH_SECONDS: Final = 5.0
_START_HINT: Final = "Start a program: otel-ext run -- python app.py"
_INPUT_HELP: Final[dict[InputKind, tuple[str, str]]] = {
    "paths": ("FILE|DIR", "file or folder of records"),
    "folders": ("DIR", "folder of records"),
    "streams": ("FILE|DIR", "file or folder of records, or - for the standard input"),
}


def add_inputs(parser: argparse.ArgumentParser, kind: InputKind = "paths") -> None:
    """Add the arguments for the inputs; `inputs_of` evaluates them."""
    metavar, description = _INPUT_HELP[kind]
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar=metavar,
        help=f"{description}; there may be several (default: the setting output)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="the whole machine: where running programs record, and the setting output",
    )
    parser.set_defaults(input_kind=kind, prog=parser.prog)


def inputs_of(args: argparse.Namespace) -> list[Path]:
    """Return the inputs of a command, each once, as the user named them.

    Raises:
        UsageError: An input is missing, cannot be read, or does not contain records.
        ConfigError: The setting `strict` is on, and the configuration is wrong.
    """
    if args.all and args.inputs:
        hint = "Use one of them"
        if hasattr(args, "other_hosts"):
            hint += "; --other-hosts shows the spans of other machines in a folder"
        message = f"--all cannot be combined with {printable_path(args.inputs[0])}"
        raise UsageError(message, hint=hint)
    if args.all:
        found = machine_inputs()
    elif args.inputs:
        found = [_checked_input(name, args) for name in args.inputs]
    else:
        found = [_input_of_setting(args)]
    if args.input_kind == "folders":
        # The setting may name a single file, whose ring buffer is in its folder.
        found = [path.absolute().parent if path.is_file() else path for path in found]
    return _without_duplicates(found)


def checked_inputs(names: Sequence[str], args: argparse.Namespace) -> list[Path]:
    """Return the inputs that a command's own arguments name, in their order, also twice.

    Raises:
        UsageError: One is missing, cannot be read, or does not contain records.
    """
    return [_checked_input(name, args) for name in names]


def machine_inputs(*, quiet: bool = False) -> list[Path]:
    """Return each folder that a running program records into, and that of `output` if it exists.

    Args:
        quiet: Whether to print nothing about a wrong path or configuration.
    """
    found = find_folders()
    try:
        config = load_leniently()
        path = config.output.folder.absolute()
        if is_there(path):
            require_readable(path, printable_path(path), "paths", "")
            found.append(path)
    except (OtelExtError, OSError) as error:
        if not quiet:
            warn(f"{error} (the setting output is left out)")
    return _without_duplicates(found)


class MachineSearch:
    """Finds the inputs of `--all` again every five seconds, for a command that goes on."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._next = monotonic() + _SEARCH_SECONDS if args.all else inf

    def due(self) -> list[Path] | None:
        """Return the inputs if it is time; else, and without `--all`, None."""
        if monotonic() < self._next:
            return None
        self._next = monotonic() + _SEARCH_SECONDS
        return machine_inputs(quiet=True)


def no_records_message(paths: Sequence[Path], args: argparse.Namespace) -> str:
    """Return the message that no path contains records, and what to do; empty if one does."""
    if any(map(has_records, paths)):
        return _other_tool_message(paths)
    if not paths:
        return f"no running program of this machine records spans. {_START_HINT}"
    names = ", ".join(printable_path(path.absolute()) for path in paths)
    return f"no records in {names}. {_START_HINT}{all_hint(args)}"


def _other_tool_message(paths: Sequence[Path]) -> str:
    """Return the message that a single file has no record, although it has lines; else empty."""
    path = paths[0]
    if len(paths) > 1 or not path.is_file() or has_record(path):
        return ""
    name = printable_path(path)
    command = f"otel-ext convert {printable_path(shlex.quote(str(path)))} -o records.jsonl"
    return f"{name} has no record. If another tool has written it, convert it: {command}"


def all_hint(args: argparse.Namespace) -> str:
    """Return a hint to use `--all`, to append to a sentence; empty if it was used."""
    return "" if args.all else f"; the whole machine: {args.prog} --all"


def _input_of_setting(args: argparse.Namespace) -> Path:
    """Return the path that a program started here would record into."""
    config = load_leniently()
    for warning in config.warnings:
        warn(warning)
    if not is_there(config.output.folder):
        # If it cannot be created, a program uses another folder and prints the same problem.
        config, problem = with_usable_output(config)
        if problem:
            warn(problem)
    path = config.output.folder
    source = config.source_of("output")
    label = f"{printable_path(path.absolute())} (setting output, {printable_path(str(source))})"
    require_readable(path, label, args.input_kind, f"{_START_HINT}{all_hint(args)}")
    return path


def _checked_input(name: str, args: argparse.Namespace) -> Path:
    """Return the path for an argument, after checking that it can be read."""
    if args.input_kind == "streams" and name == str(STDIN):
        return STDIN
    if not name:
        raise UsageError("the name of a file or folder is empty", hint="Name one, or leave it out")
    path = Path(name)
    if path == STDIN:
        path = path.absolute()
    require_readable(path, printable_path(name), args.input_kind, f"Name another{all_hint(args)}")
    if args.input_kind == "folders" and not path.is_dir():
        hint = f"Name its folder: {args.prog} {printable_path(path.parent)}"
        raise UsageError(f"{printable_path(name)}: a file, not a folder", hint=hint)
    return path


def has_records(path: Path) -> bool:
    """Return whether a file has anything in it, or a folder has files of records."""
    try:
        if path == STDIN or not path.is_dir():
            return path == STDIN or path.stat().st_size > 0
    except OSError:
        return False
    return bool(list_segments(path) or list_rings(path))


def _without_duplicates(paths: Iterable[Path]) -> list[Path]:
    """Return the paths without duplicates and without files whose folder is among them."""
    kept: dict[str, Path] = {}
    for path in paths:
        kept.setdefault(os.path.realpath(path), path)
    return [
        path
        for real, path in kept.items()
        if str(Path(real).parent) not in kept or path.suffix != ".jsonl" or path.is_dir()
    ]
