"""Kinds of settings that redaction has: patterns, and a key that is shown to nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from otel_ext.config.kinds import Kind
from otel_ext.config.patterns import PatternError, parse_pattern

__all__ = ["Patterns", "Secret"]

_MAX_PATTERNS: Final = 100
_LEAST_LENGTH: Final = 16
_OPENING: Final = "([{"
_CLOSING: Final = ")]}"


class Patterns(Kind):
    r"""Patterns that match in linear time, in a list or in text with commas or lines between.

    >>> Patterns().parse(r"iban, customer.name, EMP-\d{4,6}")
    ('iban', 'customer.name', 'EMP-\\d{4,6}')
    """

    @property
    def allowed(self) -> str:
        """What is allowed."""
        return (
            "a list of patterns, or text with commas between them: regular expressions without"
            " backreferences and lookarounds"
        )

    def parse(self, value: object) -> tuple[str, ...]:
        """Return the patterns, each of which can be used."""
        if isinstance(value, str):
            given: list[object] = [*(value.splitlines() if "\n" in value else _split(value))]
        elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
            given = list(cast("Sequence[object]", value))
        else:
            raise TypeError("not a list of patterns")
        patterns: list[str] = []
        for one in given:
            if not isinstance(one, str):
                raise TypeError("a pattern is no text")
            if one.strip():
                patterns.append(parse_pattern(one.strip()).text)
        if len(patterns) > _MAX_PATTERNS:
            raise PatternError(f"there are more than {_MAX_PATTERNS} patterns")
        return tuple(patterns)

    def format(self, value: object) -> str:
        """Return the patterns with commas between, or one a line where they hold commas."""
        patterns = cast("tuple[str, ...]", value)
        if any("," in pattern for pattern in patterns):
            return "\n".join(patterns) + "\n"
        return ",".join(patterns)


class Secret(Kind):
    """A key that no message and no command shows.

    >>> Secret().format("correct horse battery")
    '(set)'
    """

    @property
    def allowed(self) -> str:
        """What is allowed."""
        return f"at least {_LEAST_LENGTH} characters"

    def parse(self, value: object) -> str:
        """Return the key; empty for none."""
        if not isinstance(value, str):
            raise TypeError("not text")
        key = value.strip()
        if key and len(key) < _LEAST_LENGTH:
            raise ValueError("too short")
        return key

    def format(self, value: object) -> str:
        """Return whether there is a key, never the key."""
        return "(set)" if value else ""


def _split(text: str) -> list[str]:
    """Return `text` split at the commas that are not inside brackets."""
    parts = [""]
    depth = 0
    escaped = False
    for character in text:
        if character == "," and depth == 0 and not escaped:
            parts.append("")
            continue
        if not escaped:
            depth += (character in _OPENING) - (character in _CLOSING)
        escaped = character == "\\" and not escaped
        parts[-1] += character
    return parts
