"""`CompatExporter`: adds a top-level timestamp, for tools that expect one there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext._accel import bind
from otel_ext.exporters.wrapper import ExporterWrapper
from otel_ext.protocols import LineExporter
from otel_ext.record.codec import encode_compat_line
from otel_ext.record.timestamps import format_ns
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.exporter_check import fast_export_of
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["CompatExporter"]

_KEY: Final = "timestamp"


class CompatExporter(ExporterWrapper):
    """Adds a top-level `timestamp`, equal to the record's own, to what `inner` exports.

    A `timestamp` that the user has set is never overwritten; it is counted as
    `compat.timestamp_kept`. Around an exporter of lines this selects another
    encoding, so it costs nothing; around any other exporter the timestamp becomes
    one more attribute of the record.

    Args:
        inner: Where the records go.
        enabled: Whether to add it, or a function that is called for each record.

    Raises:
        ConfigError: `inner` is not an exporter.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> from otel_ext.record.model import Process, Record
    >>> import io
    >>> stream = io.StringIO()
    >>> exporter = CompatExporter(ConsoleExporter(stream, style="json"))
    >>> exporter.export(Record("event", None, "deployed", 0, 1, Process("p")))
    >>> stream.getvalue()[:43]
    '{"timestamp":"1970-01-01T00:00:00.000000Z",'
    """

    def __init__(self, inner: RecordExporter, *, enabled: bool | Callable[[], bool] = True) -> None:
        super().__init__(inner, CompatExporter)
        self._lines = inner if isinstance(inner, LineExporter) else None
        self._enabled = enabled is True
        self._ask = None if isinstance(enabled, bool) else enabled
        self.needs_raw_records = getattr(inner, "needs_raw_records", False) is True

    def export(self, record: Record) -> None:
        """Pass one record on, with the timestamp if that is enabled."""
        ask = self._ask
        try:
            enabled = self._enabled if ask is None else ask()
        except Exception as error:  # noqa: BLE001 - the function may be the user's
            report_problem("CompatExporter: cannot find out whether it is enabled", error)
            enabled = False
        if not enabled:
            self._inner.export(record)
        elif _KEY in record.attributes:
            COUNTERS.add("compat.timestamp_kept")
            self._inner.export(record)
        elif self._lines is not None:
            self._lines.export_as(record, encode_compat_line)
        else:
            attributes = {_KEY: format_ns(record.time_ns), **record.attributes}
            self._inner.export(record._replace(attributes=attributes))

    @property
    def fast_export(self) -> Callable[[Record], None]:
        """`export`, compiled if the extension was built; it behaves as the method does."""
        inner = fast_export_of(self._inner)
        ask: object = self._ask
        if ask is None:
            return self.export if self._enabled else inner
        if not callable(ask):
            return self.export  # which reports it
        return bind("bind_choice", self.export, ask=ask, no=inner, yes=self.export)
