"""The types of settings: what each allows, how it parses a value and formats it.

Each parses values from every source: text from the environment, native values
from TOML, YAML and code. `parse(format(value)) == value` holds for all.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

from otel_ext.settings.truth import FALSE_WORDS, TRUE_WORDS
from otel_ext.settings.units import format_duration, format_size, parse_duration, parse_size

__all__ = [
    "Boolean",
    "Choice",
    "Duration",
    "Folder",
    "Integer",
    "Kind",
    "NotAllowedError",
    "Size",
    "Thresholds",
]

# Compiled by the cache of `re` on first use: most programs never use it.
_INTEGER: Final = r"[0-9]{1,18}(?:_[0-9]{1,18}){0,6}"


class NotAllowedError(ValueError):
    """A value is not allowed; unlike those of other errors, its text is for the user."""


class Kind(ABC):
    """The type of a setting: which values are allowed, and how they are parsed."""

    allowed: str
    """The allowed values, as words that can follow "Use"."""
    names: tuple[str, ...] = ()
    """The names to suggest for a misspelled one."""
    is_secret = False
    """Whether messages must not show a value."""

    @abstractmethod
    def parse(self, value: object) -> object:
        """Return `value` as the setting holds it; ValueError or TypeError if not allowed."""

    def format(self, value: object) -> str:
        """Return `value` as text that `parse` reads back."""
        return str(value)


class Boolean(Kind):
    """True or false; yes/no and on/off are accepted too.

    >>> Boolean().parse("Yes"), Boolean().parse(False)
    (True, False)
    """

    allowed = "true or false (also yes/no, on/off; 1/0 as text)"

    def parse(self, value: object) -> bool:
        """Return a bool, from a bool or a word."""
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and (word := value.strip().lower()) in TRUE_WORDS | FALSE_WORDS:
            return word in TRUE_WORDS
        raise ValueError("not true or false")

    def format(self, value: object) -> str:
        """Return `true` or `false`."""
        return "true" if value else "false"


class Choice(Kind):
    """One of a few names, in lower case.

    >>> Choice(("auto", "on", "off")).parse("ON")
    'on'
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.allowed = "one of: " + ", ".join(names)

    def parse(self, value: object) -> str:
        """Return the name, in lower case."""
        if isinstance(value, bool):
            # YAML reads a bare `on` or `off` as a boolean before we see it.
            value = "on" if value else "off"
        if isinstance(value, str) and (name := value.strip().lower()) in self.names:
            return name
        raise ValueError("not one of the names")


class Integer(Kind):
    """A whole number in a range.

    >>> Integer(1, 1_000_000).parse("100_000")
    100000
    """

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high
        self.allowed = f"a whole number from {low} to {high}"

    def parse(self, value: object) -> int:
        """Return the number, from a number or its digits."""
        if isinstance(value, str) and re.fullmatch(_INTEGER, value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError("not a whole number")
        if not self.low <= value <= self.high:
            raise ValueError("out of range")
        return value


class _Range(Kind):
    """A number with a unit, in a range.

    Args:
        low: Smallest number, in bytes or seconds.
        high: Largest number, likewise.
        zero: What 0 means, if that is allowed besides the range; else empty.
    """

    _words: str

    def __init__(self, low: float, high: float, zero: str = "") -> None:
        self.low = low
        self.high = high
        self.zero = zero
        text = self._words.format(self.format(low), self.format(high))
        self.allowed = f"{text}, or 0 {zero}" if zero else text

    def _check(self, number: float) -> None:
        """Raise ValueError unless `number` is in the range; NaN is in none."""
        if not (self.low <= number <= self.high or (self.zero and number == 0)):
            raise ValueError("out of range")


class Size(_Range):
    """A number of bytes in a range.

    >>> Size(1024, 2**30).parse("8 MiB")
    8388608
    """

    _words = "a size from {} to {}, in bytes or with a unit (KiB, MiB, GiB)"

    def parse(self, value: object) -> int:
        """Return bytes, from bytes or text with a unit."""
        size = parse_size(value) if isinstance(value, str) else value
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError("not a size")
        self._check(size)
        return size

    def format(self, value: object) -> str:
        """Return the size with its unit."""
        return format_size(cast("int", value))


class Duration(_Range):
    """A number of seconds in a range.

    >>> Duration(1, 86_400).parse("5m")
    300.0
    """

    _words = "a duration from {} to {}, in seconds or with a unit (ms, s, m, h, d)"

    def parse(self, value: object) -> float:
        """Return seconds, from seconds or text with a unit."""
        seconds = parse_duration(value) if isinstance(value, str) else value
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise TypeError("not a duration")
        self._check(seconds)  # before `float()`, which can overflow
        return float(seconds)

    def format(self, value: object) -> str:
        """Return the duration with its unit."""
        return format_duration(cast("float", value))


class Folder(Kind):
    """The path of a folder, which need not exist yet; `~` is the home folder.

    >>> Folder().parse("traces").name
    'traces'
    """

    allowed = "the path of a folder"

    def parse(self, value: object) -> Path:
        """Return the path, `~` expanded."""
        text = os.fspath(value) if isinstance(value, os.PathLike) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - its parameter is unknown to us
        if not isinstance(text, str) or not text.strip() or "\0" in text:
            raise ValueError("not a path")
        return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises without a home


class Thresholds(Kind):
    """Durations by span name pattern (`*`, `?`, `[...]`); the first that matches counts.

    >>> dict(Thresholds(Duration(0.01, 86_400)).parse("db.*=5,nightly *=1h"))
    {'db.*': 5.0, 'nightly *': 3600.0}
    """

    def __init__(self, duration: Duration) -> None:
        self.duration = duration
        self.allowed = (
            "a table of span name patterns and durations, or text such as"
            f" 'db.*=5s,nightly *=1h'; each {duration.allowed}"
        )

    def parse(self, value: object) -> Mapping[str, float]:
        """Return a read-only mapping that keeps the order of `value`."""
        if isinstance(value, str):
            parts = (part for part in value.split(",") if part.strip())
            # The last `=`, so that a pattern may hold one.
            split = (part.rpartition("=") for part in parts)
            pairs: list[tuple[object, object]] = [(name.strip(), time) for name, _, time in split]
        elif isinstance(value, Mapping):
            pairs = list(cast("Mapping[object, object]", value).items())
        else:
            raise TypeError("not a table of patterns")
        thresholds: dict[str, float] = {}
        for pattern, seconds in pairs:
            if not isinstance(pattern, str) or not pattern.strip():
                raise ValueError("a pattern is not text")
            thresholds[pattern] = self.duration.parse(seconds)
        return MappingProxyType(thresholds)

    def format(self, value: object) -> str:
        """Return the pairs as `pattern=duration,pattern=duration`."""
        pairs = cast("Mapping[str, float]", value).items()
        return ",".join(f"{pattern}={format_duration(seconds)}" for pattern, seconds in pairs)
