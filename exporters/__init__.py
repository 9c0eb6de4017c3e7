"""Exporters of records, one destination a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    "CompatExporter": "compat",
    "ConsoleExporter": "console",
    "FanOut": "fanout",
    "JsonlExporter": "jsonl",
    "OTLPRecordExporter": "otlp",
    "RecordSpanExporter": "stock",
    "RedactingExporter": "redacting",
    "ResilientExporter": "resilient",
    "StockSpanExporterAdapter": "stock",
}


def __getattr__(name: str) -> object:
    """Import what is asked for: a program pays for the exporters it uses."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - paid for only when asked

    return getattr(import_module(f"otel_ext.exporters.{module}"), name)


def __dir__() -> list[str]:
    """Name what can be asked for."""
    return __all__
