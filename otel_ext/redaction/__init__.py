"""Takes secrets out of records before they are written or sent."""

from __future__ import annotations

from otel_ext.redaction.redactor import Redactor
from otel_ext.redaction.text import RedactionRules
from otel_ext.redaction.walk import RedactCallback

__all__ = ["RedactCallback", "RedactionRules", "Redactor"]
