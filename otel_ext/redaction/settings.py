"""Declares the settings of redaction, and their types: patterns, and a key that is never shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Choice, Kind, NotAllowedError, Size
from otel_ext.settings.units import KIB

__all__ = ["Patterns", "RedactMode", "RedactionSettings", "Secret"]

RedactMode = Literal["off", "default", "strict"]

_MAX_PATTERNS: Final = 100
_MIN_LENGTH: Final = 16
_OPENING: Final = "([{"
_CLOSING: Final = ")]}"


class Patterns(Kind):
    r"""Patterns that match in linear time: a list, or text separated by commas or lines.

    >>> Patterns().parse(r"iban, customer.name, EMP-\d{4,6}")
    ('iban', 'customer.name', 'EMP-\\d{4,6}')
    """

    allowed = (
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
        from otel_ext.redaction.patterns import parse_pattern  # noqa: PLC0415 - rarely needed

        patterns: list[str] = []
        for item in items:
            if not isinstance(item, str):
                raise TypeError("a pattern is not text")
            if item.strip():
                patterns.append(parse_pattern(item.strip()).text)
        if len(patterns) > _MAX_PATTERNS:
            raise NotAllowedError(f"there are more than {_MAX_PATTERNS} patterns")
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

    allowed = f"at least {_MIN_LENGTH} characters"
    is_secret = True

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


@dataclass(frozen=True)
class RedactionSettings:
    """What is removed from records; see docs/redaction.md.

    >>> RedactionSettings(mode="strict", keys=("iban",)).scan_limit
    8192
    """

    mode: RedactMode = declare(
        Choice(get_args(RedactMode)),
        "What is removed from records before they are written or sent: secrets such as passwords,"
        " tokens, keys, cookies and card numbers (`default`), personal data too (`strict`), or"
        " nothing (`off`).",
        default="default",
        name="redact",
    )
    keys: tuple[str, ...] = declare(
        Patterns(),
        "Patterns of further keys whose values are secrets; they match whole words of a key.",
        default=(),
        name="redact-keys",
    )
    values: tuple[str, ...] = declare(
        Patterns(),
        "Patterns of further secrets, matched anywhere in a text.",
        default=(),
        name="redact-values",
    )
    allow: tuple[str, ...] = declare(
        Patterns(),
        "Patterns of keys whose values are never redacted, such as `session.id`; they match the"
        " whole key.",
        default=(),
        name="redact-allow",
    )
    hmac_key: str = declare(
        Secret(),
        "With this key, each mark has a code (HMAC-SHA256) that is the same for equal values. Set"
        " it in the environment; no command shows it.",
        default="",
        name="redact-hmac-key",
    )
    scan_limit: int = declare(
        Size(KIB, 64 * KIB),
        "A text that may contain a secret is scanned up to this size; the rest is removed.",
        default=8 * KIB,
        name="redact-scan-limit",
    )
