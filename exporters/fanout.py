"""`FanOut`: sends every record to several exporters and isolates them from each other."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from otel_ext._accel import bind
from otel_ext.record.sanitise.sanitiser import sanitised
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import EXIT_SECONDS, has_room, shutdown_by
from otel_ext.runtime.exporter_check import check_exporter, fast_export_of, prepare_first_line, tell
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.isolated import IsolatedThread
from otel_ext.runtime.isolated_exporter import isolate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.inflight.table import InflightTable
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Process, Record

__all__ = ["FanOut"]


class FanOut:
    """Passes each record to all of `exporters`, in their order.

    If one raises or hangs, that is reported and the others still get the record
    (see `RecordExporter`). Flush and shutdown call all of them at once, each on its
    own thread, so one that hangs takes no time from the others; in the end its
    thread is abandoned.

    Args:
        exporters: Where the records go.
        shutdown_seconds: How long `shutdown` waits for all of them together.

    Raises:
        ConfigError: One of `exporters` is not an exporter.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> FanOut(ConsoleExporter(), ConsoleExporter()).force_flush()
    True
    """

    never_waits = True

    __slots__ = ("__dict__", "__weakref__", "_fast_path")  # read at its offset

    def __init__(self, *exporters: RecordExporter, shutdown_seconds: float = EXIT_SECONDS) -> None:
        for one in exporters:
            check_exporter("FanOut", one)
        self._exporters = [isolate(one) for one in exporters]
        self._names = [f"FanOut: {type(one).__name__}" for one in exporters]
        self._shutdown_seconds = shutdown_seconds
        self._calls = [IsolatedThread(name, stays=False) for name in self._names]
        self._closed = False
        self._raw = [getattr(one, "needs_raw_records", False) is True for one in exporters]
        self.needs_raw_records = any(self._raw)
        self.never_starts_spans = all(
            getattr(one, "never_starts_spans", False) is True for one in exporters
        )
        # What the compiled `export` reads; with None it calls the method here.
        exports = tuple(map(fast_export_of, self._exporters))
        self._fast_path = None if self.needs_raw_records else (exports, tuple(self._names))

    def export(self, record: Record) -> None:
        """Pass one record to each exporter; never raises."""
        plain = sanitised(record) if self.needs_raw_records else record
        for name, exporter, is_raw in zip(self._names, self._exporters, self._raw, strict=True):
            try:
                exporter.export(record if is_raw else plain)
            except Exception as error:  # noqa: BLE001 - the next exporter must get it
                self.note_loss(name, error)

    @property
    def fast_export(self) -> Callable[[Record], None]:
        """`export`, compiled if the extension was built; it behaves as the method does."""
        return bind("bind_fan_out", self.export, self)

    def note_loss(self, name: str, error: Exception) -> None:
        """Count and report a record that one exporter could not take."""
        COUNTERS.add("fanout.failed")
        report_problem(f"{name}: a record is lost", error)

    def learn_open_records(self, open_records: Callable[[], Iterable[Record]]) -> None:
        """Let the exporters that write files ask for the open spans; see `JsonlExporter`."""
        for exporter in self._exporters:
            tell(exporter, "learn_open_records", open_records)

    def learn_open_spans(self, table: InflightTable) -> None:
        """Let the exporters that send records get starts from `table`; see `RemoteQueue`."""
        for exporter in self._exporters:
            tell(exporter, "learn_open_spans", table)

    def prepare_first_line(self, process: Process) -> None:
        """Let the exporters that write files prepare their first lines."""
        for exporter in self._exporters:
            prepare_first_line(exporter, process)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush all exporters; whether all of them finished in time."""
        until = monotonic() + timeout_millis / 1000
        tickets = [
            calls.submit_alone(partial(one.force_flush, timeout_millis))
            for calls, one in zip(self._calls, self._exporters, strict=True)
        ]
        # Not a generator: `all` would stop at the first False and not wait for the others.
        in_time = [ticket.succeeds_by(until) for ticket in tickets]
        return all(in_time)

    def shutdown(self) -> None:
        """Shut all exporters down; does not wait for one that hangs. Idempotent."""
        self.shutdown_by(monotonic() + self._shutdown_seconds)

    def shutdown_by(self, until: float) -> None:
        """Shut all exporters down until `until`, a time of the monotonic clock."""
        if self._closed:
            return
        self._closed = True
        tickets = [
            calls.submit_alone(partial(shutdown_by, one, one.shutdown, until), is_last=True)
            for calls, one in zip(self._calls, self._exporters, strict=True)
        ]
        for ticket in tickets:
            ticket.succeeds_by(until)

    def has_room(self, until: float) -> bool:
        """Whether all exporters have room for many more records before `until`."""
        return all(has_room(one, until) for one in self._exporters)
