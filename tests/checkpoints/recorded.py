"""Records into a folder with a global provider, as `otel_ext.configure` does."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from otel_ext.exporters import CompatExporter, JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.redaction import Redactor
from tests.global_provider import as_global

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from otel_ext.journal.settings import JournalSettings
    from otel_ext.protocols import RecordExporter

__all__ = ["recording"]


@contextmanager
def recording(
    folder: Path | None = None,
    *,
    redactor: Redactor | None = None,
    settings: JournalSettings | None = None,
    compat: bool = False,
    redacts: bool = True,
) -> Generator[LifecycleSpanProcessor]:
    """Record the spans and events of the block; by default into a folder for it alone."""
    with tempfile.TemporaryDirectory() as own:
        journal = JsonlExporter(own if folder is None else folder, settings=settings)
        exporter: RecordExporter = CompatExporter(journal) if compat else journal
        if redacts:
            redactor = redactor or Redactor()
        processor = LifecycleSpanProcessor(exporter, redactor=redactor)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        with as_global(provider):
            try:
                yield processor
            finally:
                provider.shutdown()
