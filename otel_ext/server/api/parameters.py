"""The parameters of questions: one declaration checks a value and describes it in OpenAPI."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_ext.search.parse import SearchError, parse
from otel_ext.server.security.answers import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.search.nodes import Node
    from otel_ext.store.queries import Place

__all__ = [
    "Choice",
    "Flag",
    "Id",
    "Parameter",
    "Search",
    "Text",
    "TimeNs",
    "Values",
    "Whole",
    "interval_in",
    "place_in",
    "place_text",
    "read_values",
    "wrong_cursor",
]

_MOST_NS: Final = (1 << 62) - 1
_LONGEST_SEARCH: Final = 2_000
_HOUR_NS: Final = 3_600 * 10**9
_PLACE: Final = re.compile(r"(\d{1,9})\.(\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class Parameter(ABC):
    """One parameter of a question.

    Attributes:
        name: Its name.
        about: What it means, as a sentence.
        is_required: Whether it must be given.
        in_path: Whether it is a part of the path.
    """

    name: str
    about: str
    is_required: bool = False
    in_path: bool = False

    @abstractmethod
    def read(self, text: str) -> object:
        """Return the value of a text.

        Raises:
            ValueError: The text is not a valid value; the message says what is one.
        """

    @property
    @abstractmethod
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its text."""


@dataclass(frozen=True)
class Whole(Parameter):
    """A whole number.

    Attributes:
        least: The least.
        most: The greatest.
    """

    least: int = 0
    most: int = _MOST_NS

    def read(self, text: str) -> int:
        """Return the number."""
        if (
            not re.fullmatch(r"\d{1,19}", text, re.ASCII)
            or not self.least <= int(text) <= self.most
        ):
            raise ValueError(f"a whole number from {self.least} to {self.most}")
        return int(text)

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its text."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class TimeNs(Parameter):
    """A time, nanoseconds since the epoch."""

    def read(self, text: str) -> int:
        """Return the time."""
        if not re.fullmatch(r"\d{1,19}", text, re.ASCII) or int(text) > _MOST_NS:
            raise ValueError("a time in nanoseconds since 1970")
        return int(text)

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its text."""
        return {"type": "string", "pattern": r"^\d{1,19}$"}


@dataclass(frozen=True)
class Text(Parameter):
    """Any text.

    Attributes:
        most: How many characters it may have.
    """

    most: int = 2_000

    def read(self, text: str) -> str:
        """Return the text."""
        if len(text) > self.most:
            raise ValueError(f"a text of at most {self.most} characters")
        return text

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its text."""
        return {"type": "string", "maxLength": self.most}


@dataclass(frozen=True)
class Id(Parameter):
    """An id in lower-case hexadecimal digits.

    Attributes:
        digits: How many.
    """

    digits: int = 32

    def read(self, text: str) -> str:
        """Return the id."""
        if not re.fullmatch(rf"[0-9a-f]{{{self.digits}}}", text, re.ASCII):
            raise ValueError(f"{self.digits} lower-case hexadecimal digits")
        return text

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its text."""
        return {"type": "string", "pattern": f"^[0-9a-f]{{{self.digits}}}$"}


@dataclass(frozen=True)
class Choice(Parameter):
    """One of some words.

    Attributes:
        words: The words.
    """

    words: Sequence[str] = ()

    def read(self, text: str) -> str:
        """Return the word."""
        if text not in self.words:
            raise ValueError(f"one of {', '.join(self.words)}")
        return text

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its text."""
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True)
class Flag(Parameter):
    """0 or 1."""

    def read(self, text: str) -> bool:
        """Return whether it is 1."""
        if text not in {"0", "1"}:
            raise ValueError("0 or 1")
        return text == "1"

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its text."""
        return {"type": "string", "enum": ["0", "1"]}


@dataclass(frozen=True)
class Search(Parameter):
    """A search; see `otel_ext.search`."""

    def read(self, text: str) -> Node | None:
        """Return the search; None for an empty one."""
        if len(text) > _LONGEST_SEARCH:
            raise ValueError(f"a search of at most {_LONGEST_SEARCH} characters")
        return parse(text) if text.strip() else None

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its text."""
        return {"type": "string", "maxLength": _LONGEST_SEARCH}


class Values:
    """The values of the parameters of one question, by their names."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number or a time."""
        found = self._values.get(name)
        return found if isinstance(found, int) else default

    def text(self, name: str, default: str = "") -> str:
        """Return a text, an id or a word."""
        found = self._values.get(name)
        return found if isinstance(found, str) else default

    def flag(self, name: str) -> bool:
        """Return whether a flag is set."""
        return self._values.get(name) is True

    def search(self, name: str = "q") -> Node | None:
        """Return a search; None if nothing is searched for."""
        return self._values.get(name)  # type: ignore[return-value]

    def has(self, name: str) -> bool:
        """Whether a parameter was given."""
        return name in self._values


def interval_in(values: Values, now_ns: int) -> tuple[int, int]:
    """Return the beginning and the end of the time that is asked for, by default the last hour.

    Args:
        values: The parameters `since` and `until`.
        now_ns: The time, nanoseconds since the epoch.

    Raises:
        RequestError: It would end before it begins.
    """
    until = values.number("until", now_ns + 1)
    since = values.number("since", max(until - _HOUR_NS, 0))
    if since >= until:
        raise RequestError(400, "The parameter since is wrong", hint="Give a time before until.")
    return since, until


def place_text(place: Place) -> str:
    """Return a place as answers have it.

    >>> place_text((20_000, 7))
    '20000.7'
    """
    return f"{place[0]}.{place[1]}"


def place_in(cursor: str) -> Place | None:
    """Return the place in a cursor, behind which a list goes on; None if it is empty.

    Raises:
        RequestError: It is not a place.

    >>> place_in("20000.7")
    (20000, 7)
    """
    if not cursor:
        return None
    match = _PLACE.fullmatch(cursor)
    if match is None:
        raise wrong_cursor()
    return int(match[1]), int(match[2])


def wrong_cursor() -> RequestError:
    """Return the error for a cursor that is not from an answer before."""
    return RequestError(
        400, "The parameter cursor is wrong", hint="Take it from the answer before."
    )


def read_values(parameters: Sequence[Parameter], given: Mapping[str, str]) -> Values:
    """Return the values of the parameters that were given.

    Args:
        parameters: Those that there are.
        given: The texts by name.

    Raises:
        RequestError: One is not known, missing or wrong.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    unknown = given.keys() - by_name.keys()
    if unknown:
        known = ", ".join(by_name) or "none"
        raise RequestError(400, "There is no such parameter", hint=f"Known here: {known}.")
    values: dict[str, object] = {}
    for name, parameter in by_name.items():
        if name not in given:
            if parameter.is_required:
                raise RequestError(400, f"The parameter {name} is missing", hint=parameter.about)
            continue
        try:
            values[name] = parameter.read(given[name])
        except SearchError as error:
            raise RequestError(400, error.message, hint=error.hint, at=error.at) from None
        except ValueError as error:
            raise RequestError(
                400, f"The parameter {name} is wrong", hint=f"Give {error}."
            ) from None
    return Values(values)
