"""The subcommands by name, and the page that `otel-ext --help` shows.

A subcommand is a module `otel_ext.cli.NAME` with `register(subparsers)` and
`run(args) -> int`. Only the one that is called gets imported, so `otel-ext ps`
does not pay for the server.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, cast

if TYPE_CHECKING:
    import argparse

    Subparsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - has no other name

__all__ = ["COMMANDS", "EXAMPLES", "Command", "Module", "available", "find", "help_page", "load"]


class Module(Protocol):
    """What a module of a subcommand offers."""

    def register(self, subparsers: Subparsers) -> object:
        """Add the subcommand's parser."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit code is returned."""
        ...


class Command(NamedTuple):
    """One line of the table of subcommands.

    Attributes:
        name: What the user types.
        group: The heading it stands under in the help.
        summary: What it does, in half a sentence.
    """

    name: str
    group: str
    summary: str

    @property
    def module(self) -> str:
        """The module that implements it."""
        return f"otel_ext.cli.commands.{self.name.replace('-', '_')}"


COMMANDS: Final = (
    Command("run", "Record", "run a program and record its spans, its code unchanged"),
    Command("recover", "Record", "close what processes that died left open"),
    Command("ps", "Look", "spans running now, one a line"),
    Command("top", "Look", "the same, live"),
    Command("dump", "Look", "where each running span is now, with its stack"),
    Command("tail", "Look", "follow records as they are written"),
    Command("tree", "Look", "traces as trees, running spans marked"),
    Command("validate", "Check", "check files of records, line by line"),
    Command("doctor", "Check", "which parts are healthy, and why not"),
    Command("config", "Check", "settings in effect and where each comes from"),
)

EXAMPLES: Final = (
    ("run", "otel-ext run -- python app.py", "every span as it starts"),
    ("run", "otel-ext run --output traces -- gunicorn app:app", "servers and workers too"),
    ("tree", "otel-ext tree traces", "what happened, as a tree"),
    ("ps", "otel-ext ps", "what is running right now"),
    ("ps", "otel-ext ps --all", "on the whole machine"),
    ("validate", "otel-ext validate traces", "are all records well formed?"),
)

_INPUTS_NOTE: Final = (
    "Without a folder a command looks at what the setting output names, with --all",
    "at the whole machine. Times are local, UTC in JSON; the oldest comes first.",
)


def available() -> list[Command]:
    """Return the subcommands."""
    return list(COMMANDS)


def find(name: str) -> Command | None:
    """Return the subcommand `name`, if this installation has it."""
    return next((command for command in available() if command.name == name), None)


def load(command: Command) -> Module:
    """Import the module of `command`."""
    return cast("Module", import_module(command.module))


def _wants_color(stream: IO[str]) -> bool:
    # https://no-color.org: set and not empty means no color, whatever the value.
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def help_page(stream: IO[str]) -> str:
    """Return the text of `otel-ext --help`, with color where `stream` shows it.

    Args:
        stream: Where the page will be written.
    """
    bold, name_on, dim, off = ("\x1b[1m", "\x1b[36m", "\x1b[2m", "\x1b[0m")
    if not _wants_color(stream):
        bold = name_on = dim = off = ""
    commands = available()
    lines = [
        f"{bold}otel-ext{off}: see OpenTelemetry spans the moment they start,",
        "and keep them when the process dies.",
        "",
        f"{bold}Usage{off}  otel-ext COMMAND [OPTIONS]",
    ]
    for group in dict.fromkeys(command.group for command in commands):
        lines += ["", f"{bold}{group}{off}"]
        lines += [
            f"  {name_on}{command.name:<10}{off} {command.summary}"
            for command in commands
            if command.group == group
        ]
    names = {command.name for command in commands}
    shown = [(line, why) for name, line, why in EXAMPLES if name in names]
    width = max((len(line) for line, _ in shown), default=0)
    lines += ["", f"{bold}Examples{off}"]
    lines += [f"  {line:<{width}}  {dim}{why}{off}".rstrip() for line, why in shown]
    lines += ["", *(f"{dim}{line}{off}" for line in _INPUTS_NOTE)]
    lines += ["", f"{dim}otel-ext COMMAND --help tells more; otel-ext --version the version.{off}"]
    return "\n".join(lines) + "\n"
