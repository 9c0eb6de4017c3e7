"""What `OTEL_TRACES_EXPORTER=otel_ext` names: a span exporter that needs no arguments.

For where nothing can be added to the provider but an exporter. It sees ended spans
only; what is on record from a span's start takes `OTEL_EXT_AUTO=true`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_ext.exporters.sdk_adapters import RecordSpanExporter
from otel_ext.pipeline import make_console, make_exporter, report_warnings
from otel_ext.redaction.redactor import make_redactor
from otel_ext.runtime.guard import report_problem
from otel_ext.setup.current import has_recorded
from otel_ext.setup.sdk_version import is_sdk_supported
from otel_ext.zero_code import tolerant_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["EnvironmentSpanExporter"]


class EnvironmentSpanExporter(SpanExporter):
    """Brings final records of ended spans to where the settings say.

    The settings are those of environment and file; a wrong one is named on stderr and
    left out. While `configure()` or `OTEL_EXT_AUTO` records in the same process, which
    brings every end already, it does nothing. Neither making nor using it raises.

    >>> exporter = EnvironmentSpanExporter()
    >>> exporter.export([]).name
    'SUCCESS'
    >>> exporter.shutdown()
    """

    def __init__(self) -> None:
        self._inner: RecordSpanExporter | None = None
        try:
            config = tolerant_config()
            report_warnings(config)
            if config.capture.enabled and is_sdk_supported():
                # A batch is written on a thread of the SDK's, often while the interpreter
                # exits, when no thread can be started any more to bring records out.
                config = replace(config, journal=replace(config.journal, durability="write"))
                redactor = make_redactor(config.redaction, None)
                exporter = make_exporter(config, console=make_console(config), redactor=redactor)
                self._inner = RecordSpanExporter(exporter)
        except Exception as error:  # noqa: BLE001 - the SDK would not start
            report_problem("OTEL_TRACES_EXPORTER=otel_ext: nothing is recorded", error)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Record the ends of `spans`, unless they are on record already."""
        if self._inner is None or has_recorded():
            return SpanExportResult.SUCCESS
        return self._inner.export(spans)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Bring out what waits; whether that was done in time."""
        return self._inner is None or self._inner.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Bring out what waits, and end. Twice is once."""
        if self._inner is not None:
            self._inner.shutdown()
