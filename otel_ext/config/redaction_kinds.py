"""The types of redaction's settings: patterns, and a key that is never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from otel_ext.config.patterns import PatternError, parse_pattern
from otel_ext.settings.kinds import Kind

__all__ = ["Patterns", "Secret"]

_MAX_PATTERNS: Final = 100
_MIN_LENGTH: Final = 16
_OPENING: Final = "([{"
_CLOSING: Final = ")]}"


class Patterns(Kind):
    r"""Patterns that match in linear time: a list, or text separated by commas or lines.

    >>> Patterns().parse(r"iban, customer.name, EMP-\d{4,6}")
    ('iban', 'customer.name', 'EMP-\\d{4,6}')
    """

    @property
    def allowed(self) -> str:
        """The allowed values."""
        return (
            "a list of patterns, or text with commas between them: regular expressions without"
            " backreferences and lookarounds"
        )

    def parse(self, value: object) -> tuple[str, ...]:
        """Return the patterns; each is checked."""
        if isinstance(value, str):
            items: list[object] = [*(value.splitlines() if "\n" in value else _split(value))]
        elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
            items = list(cast("Sequence[object]", value))
        else:
            raise TypeError("not a list of patterns")
        patterns: list[str] = []
        for item in items:
            if not isinstance(item, str):
                raise TypeError("a pattern is not text")
            if item.strip():
                patterns.append(parse_pattern(item.strip()).text)
        if len(patterns) > _MAX_PATTERNS:
            raise PatternError(f"there are more than {_MAX_PATTERNS} patterns")
        return tuple(patterns)

    def format(self, value: object) -> str:
        """Return the patterns separated by commas, or by lines if one contains a comma."""
        patterns = cast("tuple[str, ...]", value)
        if any("," in pattern for pattern in patterns):
            return "\n".join(patterns) + "\n"
        return ",".join(patterns)


class Secret(Kind):
    """A key, which is never shown in messages or by commands.

    >>> Secret().format("correct horse battery")
    '(set)'
    """

    @property
    def allowed(self) -> str:
        """The allowed values."""
        return f"at least {_MIN_LENGTH} characters"

    def parse(self, value: object) -> str:
        """Return the key; empty text means no key."""
        if not isinstance(value, str):
            raise TypeError("not text")
        key = value.strip()
        if key and len(key) < _MIN_LENGTH:
            raise ValueError("too short")
        return key

    def format(self, value: object) -> str:
        """Return whether a key is set, never the key itself."""
        return "(set)" if value else ""


def _split(text: str) -> list[str]:
    """Split `text` at the commas outside of brackets."""
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
