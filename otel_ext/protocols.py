"""Contracts between the parts, as protocols: implement these to plug in.

The way of a record: a processor makes it, an exporter takes it. `export` is
called on the thread that started or ended the span, so it must be quick, must
not block and should not raise (the processor guards it all the same).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from otel_ext.record.model import Record

__all__ = ["Encoding", "LineExporter", "RecordExporter"]

Encoding: TypeAlias = Callable[["Record"], bytes]
"""Turns a record into one line of JSON in UTF-8, its newline included."""


@runtime_checkable
class RecordExporter(Protocol):
    """Takes records and brings them somewhere.

    An exporter that never runs code which could start spans may say so by an
    attribute `leaf = True`; the processor then need not watch for recursion.
    """

    def export(self, record: Record) -> None:
        """Take one record; called on the user's thread."""
        ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Bring out all records taken so far; whether that was done in time."""
        ...

    def shutdown(self) -> None:
        """Flush and stop; later records are ignored. Twice is once."""
        ...


@runtime_checkable
class LineExporter(RecordExporter, Protocol):
    """An exporter that writes encoded lines, and lets the caller choose how.

    `CompatExporter` uses it to select an encoding instead of encoding twice.
    """

    def export_as(self, record: Record, encoding: Encoding) -> None:
        """Take one record, to be written as `encoding` renders it."""
        ...
