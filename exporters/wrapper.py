"""`ExporterWrapper`: the base of exporters that change records for another exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.runtime.deadline import has_room, shutdown_by
from otel_ext.runtime.exporter_check import check_exporter, prepare_first_line, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.protocols import Encoding, RecordExporter
    from otel_ext.record.model import Process, Record

__all__ = ["ExporterWrapper"]


class ExporterWrapper:
    """Passes all calls on to `inner`; a class derived from it changes records in `export`.

    Args:
        inner: Where the records go.
        own: The class whose `export` is known to the other methods. If a user's class replaces
            it, nothing reaches `inner` except through the new one.

    Raises:
        ConfigError: `inner` is not an exporter.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> ExporterWrapper(ConsoleExporter(), ExporterWrapper).force_flush()
    True
    """

    def __init__(self, inner: RecordExporter, own: type[ExporterWrapper]) -> None:
        check_exporter(own.__name__, inner)
        self._inner = inner
        self._is_own_export = type(self).export is own.export
        self.never_starts_spans: bool = getattr(inner, "never_starts_spans", False) is True
        self.never_waits = getattr(inner, "never_waits", False) is True

    def export(self, record: Record) -> None:
        """Pass one record on."""
        self._inner.export(record)

    def learn_open_records(self, open_records: Callable[[], Iterable[Record]]) -> None:
        """Let `inner` ask for the start records of the open spans; see `JsonlExporter`."""
        if self._is_own_export:
            tell(self._inner, "learn_open_records", open_records)

    def prepare_first_line(self, process: Process, encoding: Encoding | None = None) -> None:
        """Let `inner` prepare the first line of its file; see `JsonlExporter`."""
        if self._is_own_export:
            prepare_first_line(self._inner, process, encoding)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush `inner`; return whether that was done in time."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Shut `inner` down."""
        self._inner.shutdown()

    def shutdown_by(self, until: float) -> None:
        """Shut `inner` down until `until`, a time of the monotonic clock."""
        shutdown_by(self._inner, self._inner.shutdown, until)

    def has_room(self, until: float) -> bool:
        """Whether `inner` has room for many more records before `until`."""
        return has_room(self._inner, until)
