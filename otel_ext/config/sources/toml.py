"""Reads settings from TOML text, with the line of each where it can be told."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from otel_ext.config.sources.entry import Entry
from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["parse_pyproject", "parse_toml"]

# The same parser under two names, and only one of them is installed.
_loads: Final[Callable[[str], dict[str, object]]] = import_module(
    "tomllib" if sys.version_info >= (3, 11) else "tomli"
).loads
_OUR_TABLE: Final = re.compile(r"""tool\s*["']?\s*\.\s*["']?otel-ext""")
_POSITION: Final = re.compile(r" \(at line ([0-9]+), column ([0-9]+)\)$")
_HEADER: Final = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*[.=]""")
_FIX: Final = "Correct the file"
# The parser takes time and memory by the square of the parts of a dotted key.
_MAX_DOTS: Final = 256


def parse_toml(path: Path, text: str) -> tuple[Entry, ...]:
    """Return the entries of a file that is ours alone.

    Args:
        path: The file, for messages.
        text: What it holds.

    Raises:
        ConfigError: It is not TOML; the message has line and column.
    """
    table = _load(path, text)
    lines = _lines_of_keys(text, prefix="")
    return tuple(Entry(key, value, lines.get(key)) for key, value in table.items())


def parse_pyproject(path: Path, text: str, *, explicit: bool) -> tuple[Entry, ...] | None:
    """Return the entries of `[tool.otel-ext]`; None without that table.

    Args:
        path: The file, for messages.
        text: What it holds.
        explicit: Whether the user named this file; then a broken one is an error
            even if it does not hold our table.

    Raises:
        ConfigError: It is not TOML, or `tool.otel-ext` is not a table.
    """
    try:
        document = _load(path, text)
    except ConfigError:
        if explicit or _OUR_TABLE.search(text):
            raise
        return None
    tool = document.get("tool")
    table = cast("dict[str, object]", tool).get("otel-ext") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.otel-ext is not a table", hint="Write [tool.otel-ext]")
    lines = _lines_of_keys(text, prefix="tool.otel-ext")
    entries = cast("dict[str, object]", table).items()
    return tuple(Entry(key, value, lines.get(key)) for key, value in entries)


def _load(path: Path, text: str) -> dict[str, object]:
    """Return the document; every way to fail becomes a ConfigError with its place."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MAX_DOTS:
            raise ConfigError(f"{path}:{number}: too many dots in one line", hint=_FIX)
    try:
        return _loads(text)
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply", hint=_FIX) from None
    except ValueError as error:
        # Besides TOMLDecodeError also the plain one of a number with too many digits.
        message = str(error)
        found = _POSITION.search(message)
        if found:
            place, message = f"{path}:{found[1]}:{found[2]}", message[: found.start()]
        elif message.endswith(" (at end of document)"):
            lines = text.split("\n")
            place = f"{path}:{len(lines)}:{len(lines[-1]) + 1}"
        else:
            place = str(path)
        raise ConfigError(f"{place}: {message[:200]}", hint=_FIX) from None


def _lines_of_keys(text: str, prefix: str) -> dict[str, int]:
    """Return the line of each key of the table `prefix`, from 1.

    A scan that knows headers and plain keys. Text in several lines can look
    like a key; one found twice is left out, since no line is better than a wrong one.
    """
    lines: dict[str, int] = {}
    twice: set[str] = set()
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        key = ""
        if header := _HEADER.match(line):
            table = re.sub(r"""[\s"']""", "", header[1])
            inner = table[len(prefix) :].lstrip(".") if table.startswith(prefix) else ""
            key = inner.split(".")[0]
        elif table == prefix and (found := _KEY.match(line)):
            key = found[1]
        if key in lines:
            twice.add(key)
        elif key:
            lines[key] = number
    return {key: number for key, number in lines.items() if key not in twice}
