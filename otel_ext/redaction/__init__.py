"""Takes secrets out of records before they are written or sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.redaction.judge import RedactCallback
    from otel_ext.redaction.redactor import Redactor
    from otel_ext.redaction.settings import RedactionSettings

__all__ = ["RedactCallback", "RedactionSettings", "Redactor"]

_HOMES = {
    "RedactCallback": "otel_ext.redaction.judge",
    "RedactionSettings": "otel_ext.redaction.settings",
    "Redactor": "otel_ext.redaction.redactor",
}


def __getattr__(name: str) -> object:
    return lazy_name(globals(), _HOMES, name)
