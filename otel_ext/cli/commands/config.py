"""`otel-ext config`: prints the settings in effect here and the source of each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.cli.streams import (
    can_show_unicode,
    painter_for,
    print_json,
    print_line,
    warn,
    width_of,
)
from otel_ext.config import load_config
from otel_ext.record.sanitise.values import encode_object
from otel_ext.terminal import as_utf8, cells, cut, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from otel_ext.cli.registry import Subparsers
    from otel_ext.config import Config, Setting, Source

__all__ = ["register", "run"]

_GAP: Final = "  "
_HEADERS: Final = ("SETTING", "VALUE", "SOURCE", "ENVIRONMENT VARIABLE")
_LONGEST: Final = 4_096
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


def register(subparsers: Subparsers) -> None:
    """Add the parser of `otel-ext config`."""
    parser = subparsers.add_parser(
        "config",
        description="Show the settings that a program started here would have.",
        epilog=_EPILOG,
    )
    parser.add_argument("--config", metavar="FILE", help="read this TOML or YAML file")
    parser.add_argument(
        "--changed", action="store_true", help="only settings that are not at their default"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-color", action="store_true", help="no color (as NO_COLOR=1 does)")


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
        warn(printable(warning, _LONGEST))
    if items:
        _show(items, use_color=not args.no_color)
    else:
        warn("every setting has its default")
    return 0


def _show(items: list[tuple[Setting, object, Source]], *, use_color: bool) -> None:
    rows = [
        (
            printable(setting.name),
            printable(setting.kind.format(value), _LONGEST) or "(none)",
            printable(str(source), _LONGEST),
            setting.env,
            source.layer == "default",
        )
        for setting, value, source in items
    ]
    paint = painter_for(sys.stdout, enabled=use_color)
    columns_of = [[header, *(row[at] for row in rows)] for at, header in enumerate(_HEADERS)]
    widths = [max(map(cells, map(str, column))) for column in columns_of]
    width = width_of(sys.stdout)
    if width:
        widths[1:3] = _fit(widths, width)
    # The variable follows from the name, so its column is left out first.
    columns = 4 if not width or sum(widths) + 3 * len(_GAP) <= width else 3
    shorten = cut if can_show_unicode(sys.stdout) else _cut_ascii
    print_line(paint("bold", _join(_HEADERS, widths, columns)))
    for *texts, is_default in rows:
        kept = [shorten(text, room) for text, room in zip(texts, widths, strict=True)]
        line = _join(kept, widths, columns)
        print_line(paint("dim", line) if is_default else line)


def _fit(widths: list[int], width: int) -> tuple[int, int]:
    """Return the widths of value and source with which a line fits."""
    room = max(width - widths[0] - 2 * len(_GAP), 24)
    value, source = widths[1], widths[2]
    if value + source <= room:
        return value, source
    value = min(value, max(room - source, room // 2))
    return value, room - value


def _join(texts: Iterable[str], widths: list[int], columns: int) -> str:
    padded = [text + " " * (width - cells(text)) for text, width in zip(texts, widths, strict=True)]
    return _GAP.join(padded[:columns]).rstrip()


def _cut_ascii(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "~"


def _as_json(config: Config, items: list[tuple[Setting, object, Source]]) -> bytes:
    settings = [
        {
            "name": setting.name,
            "value": value
            if isinstance(value, (bool, int, float))
            else as_utf8(setting.kind.format(value)),
            "text": as_utf8(setting.kind.format(value)),
            "default": setting.kind.format(setting.default),
            "layer": source.layer,
            "source": as_utf8(str(source)),
            "env": setting.env,
            "help": setting.help,
        }
        for setting, value, source in items
    ]
    found = {
        "file": as_utf8(str(config.file)) if config.file else None,
        "warnings": list(map(as_utf8, config.warnings)),
        "settings": settings,
    }
    return encode_object(found)
