"""The span exporter that `OTEL_TRACES_EXPORTER=otel_ext` selects.

For programs that can add only an exporter to their provider. An exporter gets ended
spans only; start records need `OTEL_EXT_AUTO=true`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_ext.exporters.redacting import RedactingExporter
from otel_ext.exporters.sdk_adapters import RecordSpanExporter
from otel_ext.pipeline import make_console, make_exporter, report_warnings
from otel_ext.redaction.redactor import make_redactor
from otel_ext.runtime.guard import report_problem
from otel_ext.setup.current import has_recorded
from otel_ext.setup.sdk_version import is_sdk_supported
from otel_ext.zero_code import lenient_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["EnvironmentSpanExporter"]


class EnvironmentSpanExporter(SpanExporter):
    """Exports final records of ended spans as the settings in environment and file say.

    A wrong setting is reported on stderr and ignored. The exporter does nothing while
    `configure()` or `OTEL_EXT_AUTO` records in the same process, since then every end is
    recorded already. Neither its constructor nor its methods raise.

    >>> exporter = EnvironmentSpanExporter()
    >>> exporter.export([]).name
    'SUCCESS'
    >>> exporter.shutdown()
    """

    def __init__(self) -> None:
        self._inner: RecordSpanExporter | None = None
        try:
            config = lenient_config()
            report_warnings(config)
            if config.capture.enabled and is_sdk_supported():
                # The SDK exports on its own thread, often while the interpreter exits; a
                # thread of ours for writing can no longer be started then.
                config = replace(config, journal=replace(config.journal, durability="write"))
                redactor = make_redactor(config.redaction, None)
                exporter = make_exporter(config, console=make_console(config))
                if redactor is not None:
                    exporter = RedactingExporter(exporter, redactor)
                self._inner = RecordSpanExporter(exporter)
        except Exception as error:  # noqa: BLE001 - else the SDK would not start
            report_problem("OTEL_TRACES_EXPORTER=otel_ext: nothing is recorded", error)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Record the ends of `spans`, unless they are recorded already."""
        if self._inner is None or has_recorded():
            return SpanExportResult.SUCCESS
        return self._inner.export(spans)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write and send waiting records; return whether that was done in time."""
        return self._inner is None or self._inner.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Flush, and stop. Idempotent."""
        if self._inner is not None:
            self._inner.shutdown()
