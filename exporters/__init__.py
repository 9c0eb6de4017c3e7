"""Exporters of records, one destination a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.exporters.compat import CompatExporter
from otel_ext.exporters.console import ConsoleExporter
from otel_ext.exporters.fanout import FanOut
from otel_ext.exporters.jsonl import JsonlExporter

if TYPE_CHECKING:
    from otel_ext.exporters.otlp import OTLPRecordExporter
    from otel_ext.exporters.redacting import RedactingExporter
    from otel_ext.exporters.resilient import ResilientExporter
    from otel_ext.exporters.stock import RecordSpanExporter, StockSpanExporterAdapter

__all__ = [
    "CompatExporter",
    "ConsoleExporter",
    "FanOut",
    "JsonlExporter",
    "OTLPRecordExporter",
    "RecordSpanExporter",
    "RedactingExporter",
    "ResilientExporter",
    "StockSpanExporterAdapter",
]


def __getattr__(name: str) -> object:
    if name == "OTLPRecordExporter":
        from otel_ext.exporters import otlp  # noqa: PLC0415 - paid for only when asked

        return otlp.OTLPRecordExporter
    if name == "RedactingExporter":
        from otel_ext.exporters import redacting  # noqa: PLC0415 - paid for only when asked

        return redacting.RedactingExporter
    if name == "ResilientExporter":
        from otel_ext.exporters import resilient  # noqa: PLC0415 - paid for only when asked

        return resilient.ResilientExporter
    # The SDK's export package costs import time that most programs need not pay.
    if name in {"RecordSpanExporter", "StockSpanExporterAdapter"}:
        from otel_ext.exporters import stock  # noqa: PLC0415 - paid for only when asked

        return getattr(stock, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
