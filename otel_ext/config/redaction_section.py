"""The settings of redaction, as a section of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otel_ext.config.declarations import declare
from otel_ext.config.kinds import Choice, Size
from otel_ext.config.redaction_kinds import Patterns, Secret

__all__ = ["RedactMode", "RedactionConfig"]

RedactMode = Literal["off", "default", "strict"]


@dataclass(frozen=True)
class RedactionConfig:
    """What is kept out of records; docs/redaction.md says more."""

    mode: RedactMode = declare(  # noqa: RUF009 - returns a field
        Choice(("off", "default", "strict")),
        "What is taken out of records before they are written or sent: passwords, tokens, keys,"
        " cookies, card numbers and their like (`default`), what tells of a person too (`strict`),"
        " or nothing (`off`).",
        default="default",
        name="redact",
    )
    keys: tuple[str, ...] = declare(
        Patterns(),
        "Patterns of further keys whose values are secrets, found at the borders of words.",
        default=(),
        name="redact-keys",
    )
    values: tuple[str, ...] = declare(
        Patterns(),
        "Patterns of further secrets, wherever they stand in a text.",
        default=(),
        name="redact-values",
    )
    allow: tuple[str, ...] = declare(
        Patterns(),
        "Patterns of whole keys whose values stay as they are, such as `session.id`.",
        default=(),
        name="redact-allow",
    )
    hmac_key: str = declare(
        Secret(),
        "With a key, each mark carries a code (HMAC-SHA256) that equal values share. Best given in"
        " the environment; no command shows it.",
        default="",
        name="redact-hmac-key",
    )
    scan_limit: int = declare(
        Size(1024, 64 * 1024),
        "So much of a text that may hold a secret is looked at; what is behind that is left out.",
        default=8 * 1024,
        name="redact-scan-limit",
    )
