"""The arguments of tools: one declaration describes a value to a model, and checks it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.errors import UsageError
from otel_ext.search.parse import parse
from otel_ext.settings.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Argument", "Choice", "Id", "Search", "Since", "Text", "Values", "Whole", "read_values"]

_SHOWN: Final = 40


@dataclass(frozen=True)
class Argument:
    """One argument.

    Attributes:
        name: Its name.
        about: What it means, as a sentence.
        is_required: Whether it must be given.
    """

    name: str
    about: str
    is_required: bool = False

    def read(self, value: object) -> object:
        """Return what a value means.

        Raises:
            ValueError: It is wrong; the message says what would be right.
            SearchError: It is a search that is wrong.
        """
        raise NotImplementedError

    @property
    def schema(self) -> dict[str, object]:
        """Its JSON Schema, without what it means."""
        return {"type": "string"}


@dataclass(frozen=True)
class Id(Argument):
    """The id of a trace or span.

    Attributes:
        digits: How many digits it has.
    """

    digits: int = 32

    def read(self, value: object) -> str:
        """Return the id in lower case."""
        text = value.strip().lower() if isinstance(value, str) else ""
        if not re.fullmatch(rf"[0-9a-f]{{{self.digits}}}", text, re.ASCII):
            raise ValueError(f"its {self.digits} hexadecimal digits, as another answer shows them")
        return text

    @property
    def schema(self) -> dict[str, object]:
        """Its JSON Schema, without what it means."""
        return {"type": "string", "pattern": f"^[0-9a-fA-F]{{{self.digits}}}$"}


@dataclass(frozen=True)
class Whole(Argument):
    """A whole number.

    Attributes:
        least: The least.
        most: The greatest.
    """

    least: int = 0
    most: int = 1_000_000

    def read(self, value: object) -> int:
        """Return the number."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not self.least <= value <= self.most:
            raise ValueError(f"a whole number from {self.least} to {self.most}")
        return value

    @property
    def schema(self) -> dict[str, object]:
        """Its JSON Schema, without what it means."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Choice(Argument):
    """One of some words.

    Attributes:
        words: The words.
    """

    words: Sequence[str] = ()

    def read(self, value: object) -> str:
        """Return the word."""
        if value not in self.words:
            raise ValueError(f"one of {', '.join(self.words)}")
        return str(value)

    @property
    def schema(self) -> dict[str, object]:
        """Its JSON Schema, without what it means."""
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True)
class Text(Argument):
    """Any text.

    Attributes:
        most: How many characters it may have.
    """

    most: int = 500

    def read(self, value: object) -> str:
        """Return the text."""
        if not isinstance(value, str) or len(value) > self.most:
            raise ValueError(f"a text of at most {self.most} characters")
        return value

    @property
    def schema(self) -> dict[str, object]:
        """Its JSON Schema, without what it means."""
        return {"type": "string", "maxLength": self.most}


@dataclass(frozen=True)
class Search(Argument):
    """A search; see `otel_ext.search`."""

    def read(self, value: object) -> str:
        """Return the search, which can be understood."""
        if not isinstance(value, str):
            raise ValueError("a text such as `service:shop dur:>500ms error`")  # noqa: TRY004
        parse(value)
        return value


@dataclass(frozen=True)
class Since(Argument):
    """A time: how long ago, or when."""

    def read(self, value: object) -> int:
        """Return the time, nanoseconds since the epoch."""
        if isinstance(value, str):
            with suppress(ValueError, OverflowError):
                return max(time_ns() - round(parse_duration(value) * 1e9), 1)
            with suppress(ValueError, OverflowError, OSError):
                # Python 3.10 does not know the Z.
                read = datetime.fromisoformat(value.strip().replace("Z", "+00:00")).astimezone()
                return max(round(read.timestamp() * 1e9), 1)
        raise ValueError("how long ago, such as 10m or 2h, or a time such as 2026-01-31T12:00:00Z")


class Values:
    """The values of the arguments of one call, by their names."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """Return a text, an id or a word."""
        found = self._values.get(name)
        return found if isinstance(found, str) else default

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number or a time."""
        found = self._values.get(name)
        return found if isinstance(found, int) else default


def read_values(arguments: Sequence[Argument], given: Mapping[str, object]) -> Values:
    """Return the values of the arguments that were given.

    Args:
        arguments: Those that there are.
        given: What was given by name; None and an empty text count as not given.

    Raises:
        UsageError: One is not known, missing or wrong.
    """
    by_name = {argument.name: argument for argument in arguments}
    for name in given:
        if name not in by_name:
            known = ", ".join(by_name) or "none"
            message = f"there is no argument {name[:_SHOWN]!r}"
            raise UsageError(message, hint=f"There are: {known}")
    values: dict[str, object] = {}
    for name, argument in by_name.items():
        value = given.get(name)
        if value is None or value == "":
            if argument.is_required:
                raise UsageError(f"the argument {name} is missing", hint=argument.about)
            continue
        try:
            values[name] = argument.read(value)
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError(f"the argument {name} is wrong", hint=f"Give {error}") from None
    return Values(values)
