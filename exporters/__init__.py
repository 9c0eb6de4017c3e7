"""Exporters of records: files, terminal, OTLP, and wrappers around other exporters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.exporters.compat import CompatExporter
    from otel_ext.exporters.console.exporter import ConsoleExporter
    from otel_ext.exporters.delivery.json_lines import JsonLinesSender
    from otel_ext.exporters.delivery.resilient import ResilientExporter
    from otel_ext.exporters.fanout import FanOut
    from otel_ext.exporters.jsonl import JsonlExporter
    from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
    from otel_ext.exporters.redacting import RedactingExporter
    from otel_ext.exporters.sdk_adapters import RecordSpanExporter, StockSpanExporterAdapter

__all__ = [
    "CompatExporter",
    "ConsoleExporter",
    "FanOut",
    "JsonLinesSender",
    "JsonlExporter",
    "OTLPRecordExporter",
    "RecordSpanExporter",
    "RedactingExporter",
    "ResilientExporter",
    "StockSpanExporterAdapter",
]

_MODULES = {
    "CompatExporter": "otel_ext.exporters.compat",
    "ConsoleExporter": "otel_ext.exporters.console.exporter",
    "FanOut": "otel_ext.exporters.fanout",
    "JsonLinesSender": "otel_ext.exporters.delivery.json_lines",
    "JsonlExporter": "otel_ext.exporters.jsonl",
    "OTLPRecordExporter": "otel_ext.exporters.otlp.exporter",
    "RecordSpanExporter": "otel_ext.exporters.sdk_adapters",
    "RedactingExporter": "otel_ext.exporters.redacting",
    "ResilientExporter": "otel_ext.exporters.delivery.resilient",
    "StockSpanExporterAdapter": "otel_ext.exporters.sdk_adapters",
}


def __getattr__(name: str) -> object:
    """Import an exporter at its first use, so that a program pays only for those it uses."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return __all__
