"""Parses settings from TOML text, with the line of each if it can be found."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from otel_ext.config.messages import Entry
from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["parse_pyproject", "parse_toml"]

# The same parser under two names, of which only one is installed.
_loads: Final[Callable[[str], dict[str, object]]] = import_module(
    "tomllib" if sys.version_info >= (3, 11) else "tomli"
).loads
_OUR_TABLE: Final = re.compile(r"""tool\s*["']?\s*\.\s*["']?otel-ext""")
_POSITION: Final = re.compile(r" \(at line ([0-9]+), column ([0-9]+)\)$")
_HEADER: Final = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*[.=]""")
_FIX: Final = "Correct the file"
# The parser's time and memory grow with the square of the parts of a dotted key.
_MAX_DOTS: Final = 256


def parse_toml(path: Path, text: str) -> tuple[Entry, ...]:
    """Return the entries of a file with our settings at its top level.

    Raises:
        ConfigError: It is not TOML; the message has line and column.
    """
    return _entries(_load(path, text), text, prefix="")


def parse_pyproject(path: Path, text: str, *, explicit: bool) -> tuple[Entry, ...] | None:
    """Return the entries of `[tool.otel-ext]`; None without that table.

    In an `explicit` file, which the user named, invalid TOML is an error even without it.

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
    return _entries(cast("dict[str, object]", table), text, prefix="tool.otel-ext")


def _entries(table: dict[str, object], text: str, prefix: str) -> tuple[Entry, ...]:
    """Return the entries of `table`, which is called `prefix` in `text`."""
    lines = _lines_of_keys(text, prefix)
    return tuple(Entry(key, value, lines.get(key)) for key, value in table.items())


def _load(path: Path, text: str) -> dict[str, object]:
    """Return the document; every failure becomes a ConfigError with line and column."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MAX_DOTS:
            raise ConfigError(f"{path}:{number}: too many dots in one line", hint=_FIX)
    try:
        return _loads(text)
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply", hint=_FIX) from None
    except ValueError as error:
        # TOMLDecodeError, or a plain ValueError for a number with too many digits.
        message = str(error)
        found = _POSITION.search(message)
        if found:
            position, message = f"{path}:{found[1]}:{found[2]}", message[: found.start()]
        elif message.endswith(" (at end of document)"):
            lines = text.split("\n")
            position = f"{path}:{len(lines)}:{len(lines[-1]) + 1}"
        else:
            position = str(path)
        raise ConfigError(f"{position}: {message[:200]}", hint=_FIX) from None


def _lines_of_keys(text: str, prefix: str) -> dict[str, int]:
    """Return the line of each key of the table `prefix`, from 1.

    Scans for headers and plain keys only. A line of a multi-line text can look like a
    key; a key found twice is omitted, since no line is better than a wrong one.
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
