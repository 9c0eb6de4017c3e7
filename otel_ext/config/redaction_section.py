"""Declares the settings of redaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otel_ext.config.redaction_kinds import Patterns, Secret
from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Choice, Size

__all__ = ["RedactMode", "RedactionConfig"]

RedactMode = Literal["off", "default", "strict"]


@dataclass(frozen=True)
class RedactionConfig:
    """What is removed from records; see docs/redaction.md."""

    mode: RedactMode = declare(
        Choice(("off", "default", "strict")),
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
        Size(1024, 64 * 1024),
        "A text that may contain a secret is scanned up to this size; the rest is removed.",
        default=8 * 1024,
        name="redact-scan-limit",
    )
