"""`otel-ext config`: prints the settings in effect here and the source of each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import add_color
from otel_ext.config import load_config
from otel_ext.readable import as_utf8
from otel_ext.record.sanitise.values import encode_object
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_lines, warn
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import LONGEST, printable

if TYPE_CHECKING:
    import argparse

    from otel_ext.config import Config, Setting, Source

__all__ = ["run", "set_up"]

_COLUMNS: Final = (
    Column("SETTING"),
    Column("VALUE", share=0.5),
    Column("SOURCE", share=0.5),
    # It follows from the name, so it is left out first.
    Column("ENVIRONMENT VARIABLE", optional=1),
)
_EPILOG: Final = """\
A setting comes from the program's code, else from its environment variable,
else from a file (otel-ext.toml, otel-ext.yaml or [tool.otel-ext] in
pyproject.toml, here or in a folder above), else it has its default. What a
program sets in its code is not shown here.

examples:
  otel-ext config                     all settings
  otel-ext config --changed           those that are not at their default
  otel-ext config --config other.toml
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = "Show the settings that a program started here would have."
    parser.epilog = _EPILOG
    parser.add_argument("--config", metavar="FILE", help="read this TOML or YAML file")
    parser.add_argument(
        "--changed", action="store_true", help="only settings that are not at their default"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_color(parser)


def run(args: argparse.Namespace) -> int:
    """Print the settings.

    Raises:
        ConfigError: A setting is wrong; the message names it, its source and what is allowed.
    """
    config = load_config(file=args.config, command_line=True)
    items = [item for item in config.items() if not args.changed or item[2].layer != "default"]
    if args.json:
        print_json(_as_json(config, items))
        return 0
    for warning in config.warnings:
        warn(warning)
    if items:
        _show(items, Canvas.of(sys.stdout, color=args.color))
    else:
        warn("every setting has its default")
    return 0


def _show(items: list[tuple[Setting, object, Source]], canvas: Canvas) -> None:
    rows = [
        (
            printable(setting.name),
            printable(setting.kind.format(value), LONGEST) or "(none)",
            printable(str(source), LONGEST),
            setting.env,
        )
        for setting, value, source in items
    ]
    styles = ["dim" if source.layer == "default" else "" for _, _, source in items]
    print_lines(table_lines(_COLUMNS, rows, canvas, styles))


def _as_json(config: Config, items: list[tuple[Setting, object, Source]]) -> bytes:
    settings = [
        {
            "name": setting.name,
            "value": value if isinstance(value, (bool, int, float)) else text,
            "text": text,
            "default": setting.kind.format(setting.default),
            "layer": source.layer,
            "source": as_utf8(str(source)),
            "env": setting.env,
            "help": setting.help,
        }
        for setting, value, source in items
        for text in [as_utf8(setting.kind.format(value))]
    ]
    found = {
        "file": as_utf8(str(config.file)) if config.file else None,
        "warnings": list(map(as_utf8, config.warnings)),
        "settings": settings,
    }
    return encode_object(found)
