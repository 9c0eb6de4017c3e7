"""Exporters of records, one destination a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.exporters.compat import CompatExporter
    from otel_ext.exporters.console import ConsoleExporter
    from otel_ext.exporters.fanout import FanOut
    from otel_ext.exporters.jsonl import JsonlExporter
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

_MODULES = {
    "CompatExporter": "otel_ext.exporters.compat",
    "ConsoleExporter": "otel_ext.exporters.console",
    "FanOut": "otel_ext.exporters.fanout",
    "JsonlExporter": "otel_ext.exporters.jsonl",
    "OTLPRecordExporter": "otel_ext.exporters.otlp",
    "RecordSpanExporter": "otel_ext.exporters.stock",
    "RedactingExporter": "otel_ext.exporters.redacting",
    "ResilientExporter": "otel_ext.exporters.resilient",
    "StockSpanExporterAdapter": "otel_ext.exporters.stock",
}


def __getattr__(name: str) -> object:
    """Import what is asked for: a program pays for the exporters it uses."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Name what can be asked for."""
    return __all__
