"""Lists the subcommands, and prints the page of `otel-ext --help`.

A subcommand is a module `otel_ext.cli.commands.NAME`, in which a hyphen becomes `_`, with the
functions of `Module`. Only the called one is imported, so `otel-ext ps` does not pay for the
others.
"""

from __future__ import annotations

from importlib import import_module
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from otel_ext.terminal.canvas import Canvas

if TYPE_CHECKING:
    import argparse

__all__ = ["COMMANDS", "Command", "Module", "find", "help_page", "load"]


class Module(Protocol):
    """The interface of a subcommand's module."""

    def set_up(self, parser: argparse.ArgumentParser) -> object:
        """Add the description and the arguments of the subcommand to its parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Run the subcommand with the arguments of `set_up`, and return the exit code.

        Raises:
            UsageError: An argument is wrong; the command has changed nothing.
            ConfigError: An option or a setting is wrong.
        """
        ...


class Command(NamedTuple):
    """One line of the table of subcommands.

    Attributes:
        name: The word the user types.
        group: Its heading in the help.
        summary: What it does, in a few words.
    """

    name: str
    group: str
    summary: str


COMMANDS: Final = (
    Command("run", "Record", "run a program unchanged and record its spans"),
    Command("recover", "Record", "end the spans that dead processes left open"),
    Command("rebuild", "Record", "make the store of a folder anew from its records"),
    Command("serve", "Look", "traces and what runs now in the browser, live; takes OTLP"),
    Command("mcp", "Look", "lets a coding agent look at traces and what runs now"),
    Command("ps", "Look", "spans running now, one per line"),
    Command("top", "Look", "the same, live"),
    Command("dump", "Look", "where each running span is now, with its stack"),
    Command("tail", "Look", "follow records as they are written"),
    Command("events", "Look", "events that programs have recorded, by name, time, trace"),
    Command("tree", "Look", "traces as trees, running spans marked"),
    Command("grep", "Look", "the spans that a search finds"),
    Command("waterfall", "Look", "traces with a bar for each span"),
    Command("report", "Understand", "one HTML file with traces, to look at and to pass on"),
    Command("analyze", "Understand", "where the time goes: bottlenecks, operations, errors"),
    Command("critical-path", "Understand", "what the end of a trace had to wait for"),
    Command("diff", "Understand", "what is slower, new or gone in other traces"),
    Command("export", "Understand", "traces in the formats of other tools"),
    Command("convert", "Understand", "files of other tools as records"),
    Command("flags", "Change", "how far feature flags are rolled out, in five stages"),
    Command("validate", "Check", "check files of records, line by line"),
    Command("doctor", "Check", "which parts are healthy, and why not"),
    Command("config", "Check", "settings in effect and where each comes from"),
)

_EXAMPLES: Final = (
    ("otel-ext run -- python app.py", "every span as it starts"),
    ("otel-ext run --output traces -- gunicorn app:app", "servers and workers too"),
    ("otel-ext tree traces", "what happened, as a tree"),
    ("otel-ext ps", "what is running right now"),
    ("otel-ext ps --all", "on the whole machine"),
    ("otel-ext validate traces", "are all records well formed?"),
)

_INPUTS_NOTE: Final = (
    "Without a folder a command reads the folder in the setting output, with --all",
    "those of the whole machine. Times are local, UTC in JSON; oldest first.",
)


def find(name: str) -> Command | None:
    """Return the subcommand `name`, or None."""
    return next((command for command in COMMANDS if command.name == name), None)


def load(command: Command) -> Module:
    """Import the module of `command`."""
    return cast("Module", import_module(f"otel_ext.cli.commands.{command.name.replace('-', '_')}"))


def help_page(stream: IO[str]) -> str:
    """Return the text of `otel-ext --help`, with color if `stream` is a terminal."""
    paint = Canvas.of(stream).paint
    lines = [
        f"{paint('bold', 'otel-ext')}: see OpenTelemetry spans the moment they start,",
        "and keep them when the process dies.",
        "",
        f"{paint('bold', 'Usage')}  otel-ext COMMAND [OPTIONS]",
    ]
    for group in dict.fromkeys(command.group for command in COMMANDS):
        lines += ["", paint("bold", group)]
        lines += [
            f"  {paint('cyan', f'{command.name:<13}')} {command.summary}"
            for command in COMMANDS
            if command.group == group
        ]
    width = max(len(line) for line, _ in _EXAMPLES)
    lines += ["", paint("bold", "Examples")]
    lines += [f"  {line:<{width}}  {paint('dim', why)}" for line, why in _EXAMPLES]
    lines += ["", *(paint("dim", line) for line in _INPUTS_NOTE)]
    more = "otel-ext COMMAND --help shows more; otel-ext --version the version."
    lines += ["", paint("dim", more)]
    return "\n".join(lines) + "\n"
