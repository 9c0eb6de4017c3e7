"""From the settings to a redactor."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from otel_ext.errors import ConfigError
from otel_ext.redaction.redactor import Redactor
from otel_ext.redaction.texts import RedactionRules
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from otel_ext.config import RedactionConfig
    from otel_ext.redaction.walking import RedactCallback

__all__ = ["make_redactor"]


def make_redactor(
    redaction: RedactionConfig, callback: RedactCallback | None = None
) -> Redactor | None:
    """Return what takes secrets out of records; None if that is off.

    Args:
        redaction: The settings.
        callback: As for `Redactor`.

    Raises:
        ConfigError: `callback` cannot be called.
    """
    if callback is not None and not callable(cast("object", callback)):
        raise ConfigError(
            f"redact_callback: {type(callback).__name__} cannot be called",
            hint="Give a function of a path and a value that returns a value",
        )
    if redaction.mode == "off":
        if callback is not None:
            report_problem("configure()", "redact_callback is not called, since redact=off")
        return None
    rules = RedactionRules(
        strict=redaction.mode == "strict",
        keys=redaction.keys,
        values=redaction.values,
        allow=redaction.allow,
        hmac_key=redaction.hmac_key,
        scan_limit=redaction.scan_limit,
    )
    return Redactor(rules, callback)
