"""Holds the handle of the last `configure()`, for parts that need it for each record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record
    from otel_ext.setup.handle import Handle

__all__ = ["HANDLES", "current_exporter", "has_recorded", "redact_record", "shows_records"]

HANDLES: Final[dict[str, Handle]] = {}
"""The handle of the last `configure()`, shut down or not, under the key `handle`."""


def _active() -> Handle | None:
    handle = HANDLES.get("handle")
    return handle if handle is not None and handle.active else None


def redact_record(record: Record) -> Record:
    """Return `record` without secrets, by the redactor of the active handle, if any."""
    handle = _active()
    return handle.redactor.redact(record) if handle and handle.redactor else record


def current_exporter() -> RecordExporter | None:
    """Return the exporter of the active handle; None if nothing is recorded."""
    handle = _active()
    return handle.exporter if handle else None


def has_recorded() -> bool:
    """Return whether the last handle records, or did until it was shut down."""
    handle = HANDLES.get("handle")
    return handle is not None and handle.processor is not None


def shows_records() -> bool:
    """Return whether the console exporter shows records on a terminal now."""
    handle = _active()
    return handle is not None and handle.console is not None and handle.console.is_seen()
