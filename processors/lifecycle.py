"""`LifecycleSpanProcessor`: exports a record when a span starts and another when it ends.

The SDK does not catch exceptions of processors: they reach the user's code and replace
the user's own exception (opentelemetry-python#5624), so every hook here catches its own.
"""

from __future__ import annotations

import threading
from functools import partial
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Final, cast

from opentelemetry.sdk.trace import SpanProcessor

from otel_ext._accel import choose, configure, no_parts
from otel_ext.inflight.health_events import record_health
from otel_ext.inflight.owners import TaskOwner
from otel_ext.inflight.table import Entry, InflightTable
from otel_ext.inflight.tracker import Tracker
from otel_ext.record.capture import capture_end, capture_start, identify
from otel_ext.record.model import Process
from otel_ext.record.sanitise.sanitiser import sanitiser_for
from otel_ext.record.untyped import capture_untyped_end, capture_untyped_start
from otel_ext.runtime.before_flush import write_what_waits
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import (
    EXIT_SECONDS,
    at_exit,
    has_room,
    is_exiting,
    shut_down_at_exit,
    shutdown_by,
)
from otel_ext.runtime.exporter_check import check_exporter, fast_export_of, prepare_first_line, tell
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.isolated_exporter import isolate
from otel_ext.runtime.listeners import LISTENERS
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from otel_ext.inflight.settings import InflightSettings
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record
    from otel_ext.redaction.redactor import Redactor

__all__ = ["LifecycleSpanProcessor"]

_MAX_DEPTH: Final = 4
# How many records pass between two checks that the worker's thread runs. A prime: a program
# whose requests make so many records each would else never start a span at such a number.
_CHECK_EVERY: Final = 61
# The most spans that wait for the worker.
_MAX_LATE: Final = 10_000
_UNKNOWN_PROCESS: Final = Process("unknown")
_START_IS_LOST: Final = "a start record is lost"
_END_IS_LOST: Final = "an end record is lost"


class _Depth(threading.local):
    """How deep calls of hooks are nested on this thread; an exporter may start spans."""

    value = 0


class LifecycleSpanProcessor(SpanProcessor):
    """Exports a provisional record at each span's start and a final one at its end.

    Works beside any other processors, in any order, several times, and on
    several providers.

    Args:
        exporter: Where the records go.
        record_only: Whether to export spans that are recorded but not sampled, too.
        inflight: How open spans are watched.
        redactor: Removes secrets from the records; None keeps them.

    Raises:
        ConfigError: `exporter` is not a valid exporter.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from otel_ext.exporters import ConsoleExporter
    >>> provider = TracerProvider()
    >>> provider.add_span_processor(LifecycleSpanProcessor(ConsoleExporter()))
    """

    __slots__ = ("_fast_path",)  # the compiled part reads it at its offset
    _known: tuple[Resource | None, Process]
    _next_seq: Callable[[], int]
    _fast_path: object | None

    def __init__(
        self,
        exporter: RecordExporter,
        *,
        record_only: bool = False,
        inflight: InflightSettings | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        check_exporter("LifecycleSpanProcessor", exporter)
        self._record_only = bool(record_only)
        self._sanitiser = sanitiser = redactor or sanitiser_for(exporter)
        self._sanitise = sanitiser.sanitise
        self.tracker = Tracker(
            self._emit,
            inflight,
            destination=exporter,
            before=self._catch_up,
            record_health=record_health,
        )
        self.tracker.sanitiser = sanitiser
        self.tracker.emit_safe = partial(self._emit, is_safe=True)
        self._exporter = exporter = isolate(exporter)
        self._table = self.tracker.table
        tell(exporter, "learn_open_records", self.tracker.open_records)
        tell(exporter, "learn_open_spans", self._table)
        never_starts_spans = getattr(exporter, "never_starts_spans", False) is True
        self._only_export = fast_export_of(exporter) if never_starts_spans else self._export_watched
        self._closed = False
        self._shut_down = False
        self._reset()
        self._choose_export()
        LISTENERS.add_source(self._choose_export)
        after_fork_in_child(self._reset)
        shut_down_at_exit(self.shutdown)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Export the start record of `span`; called by the SDK on the user's thread."""
        try:
            try:
                begin_span(self, span)
            except RecursionError:
                raise
            except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
                self._note_loss(_START_IS_LOST, error)
        except RecursionError:
            # No call here: this thread has no stack left for one. The worker does the rest.
            if not self._late[_MAX_LATE:]:
                self._late += ((span, _START_IS_LOST),)

    def on_end(self, span: ReadableSpan) -> None:
        """Export the final record of `span`; called by the SDK on the user's thread."""
        try:
            try:
                end_span(self, span)
            except RecursionError:
                raise
            except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
                self._note_loss(_END_IS_LOST, error)
        except RecursionError:
            if not self._late[_MAX_LATE:]:
                self._late += ((span, _END_IS_LOST),)

    def prepare(self, resource: object) -> None:
        """Prepare the first line of the exporter's file before the first span.

        Args:
            resource: The expected resource of the spans.
        """
        if getattr(self._sanitiser, "has_callback", False):
            return  # the program's function may not be ready during set-up
        try:
            process = incarnation.current().expect(resource)
            prepare_first_line(self._exporter, self._sanitiser.process(process))
        except Exception as error:  # noqa: BLE001 - the program's set-up must go on
            report_problem("LifecycleSpanProcessor: the first span could not be prepared", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter; return whether it exported all records in time."""
        check_process()
        try:
            write_what_waits()
            self._catch_up()
            return self._exporter.force_flush(timeout_millis)
        except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
            report_problem("LifecycleSpanProcessor: flush failed", error)
            return False

    def shutdown(self) -> None:
        """Shut the exporter down; later spans are ignored, unless the program exits. Idempotent."""
        self.shutdown_by(monotonic() + EXIT_SECONDS)

    def shutdown_by(self, until: float) -> None:
        """Do the same as `shutdown`, by the moment `until` of the monotonic clock."""
        check_process()
        if self._shut_down:
            return
        write_what_waits()
        self._shut_down = True
        self._fast_path = None  # the methods here also count the spans that are ending
        self._catch_up()
        if is_exiting():
            self._table.is_exiting = True
            with at_exit():
                self._stop_by(until)
        else:
            self._closed = True
            self._stop_by(until)

    def _stop_by(self, until: float) -> None:
        exporter = self._exporter
        # The open spans may take half of the time; the rest is for closing the files.
        share = max(0.0, until - monotonic()) / 2
        for stop in (
            lambda: self.tracker.stop(share, lambda at: has_room(exporter, at)),
            lambda: shutdown_by(exporter, exporter.shutdown, until),
        ):
            try:
                stop()
            except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
                report_problem("LifecycleSpanProcessor: shutdown failed", error)

    def begin_span(self, span: Span) -> None:
        """Export the start record of `span`; the caller catches exceptions."""
        check_process()
        key = identify(span, self._record_only)
        if key is None or self._closed:
            return
        known = self._known
        if span.resource is not known[0]:
            known = self._recognise(span.resource)
        seq = self._next_seq()
        record = self._sanitise(capture_start(span, known[1], seq))
        self._table.add(record, span, key)
        try:
            self._export(record)
        finally:
            # After the export: the first one makes system calls, and each would give the
            # interpreter lock to a thread that has just started.
            if seq % _CHECK_EVERY == 0 or not self._begun:
                self._watch()
                self._fast_path = self._hook_parts()

    def end_span(self, span: ReadableSpan) -> None:
        """Export the final record of `span`; the caller catches exceptions."""
        check_process()
        key = identify(span, self._record_only)
        if key is None:
            return
        table = self._table
        start = table.begin_end(key)
        try:
            if self._closed or (start is None and table.is_inherited(key, span.start_time)):
                return  # of the parent process, which ends it too
            known = self._known
            if span.resource is not known[0]:
                known = self._recognise(span.resource)
            self._export(self._sanitise(capture_end(span, known[1], self._next_seq(), start)))
        finally:
            table.ending.pop(key, None)  # no call of Python: the stack may be full

    def _watch(self) -> None:
        self._begun = True
        if self._shut_down:
            self._fast_path = None  # a span that started meanwhile may have set it
            return
        try:
            # Tried at each start until the thread runs: uWSGI's master starts none.
            self._begun = self.tracker.begin()
        except RecursionError:  # the next span tries again
            self._begun = False
        except Exception as error:  # noqa: BLE001 - the record is exported already
            report_problem("LifecycleSpanProcessor: open spans are not watched", error)
        if not self._begun:
            self._fast_path = None

    def _catch_up(self) -> None:
        """Export the records of spans that met a RecursionError; the worker or a flush calls it."""
        while self._late:
            try:
                span, what = self._late.pop(0)
            except IndexError:  # a flush and the worker may both be here
                return
            try:
                self._record_late(span, is_start=what is _START_IS_LOST)
            except Exception as error:  # noqa: BLE001 - the others must be recorded
                self._note_loss(what, error)

    def _record_late(self, span: ReadableSpan, *, is_start: bool) -> None:
        """Export the start or the end of a span from the worker's thread or a flush."""
        key = identify(span, self._record_only)
        if key is None:
            return
        process = self._recognise(span.resource)[1]
        entry = self._table.get(key)
        start = None if entry is None else entry.record
        if is_start:
            record = start or self._sanitise(capture_untyped_start(span, process, self._next_seq()))
            if start is None and span.end_time is None:
                self._table.add(record, cast("Span", span), key)
        else:
            self._table.pop(key)
            if start is None and self._table.is_inherited(key, span.start_time):
                return
            record = self._sanitise(capture_untyped_end(span, process, self._next_seq(), start))
        self._export(record)

    def _emit(self, record: Record, *, is_safe: bool = False) -> None:
        """Export a record of the reaper, the watchdog or the heartbeat, or an event's."""
        try:
            record = record if is_safe else self._sanitise(record)
            # Before the export: that may begin a file, which repeats what lives.
            self.tracker.living.note(record)
            self._export(record)
        except Exception as error:  # noqa: BLE001 - an exporter may be third-party code
            self._note_loss("a record is lost", error)

    def _choose_export(self) -> None:
        """Call listeners too if there are any; called when that changes."""
        self._export = self._export_and_pass_on if LISTENERS.active else self._only_export
        self._fast_path = self._hook_parts()

    def _export_and_pass_on(self, record: Record) -> None:
        try:
            self._only_export(record)
        finally:
            LISTENERS.pass_on(record, self)

    def _export_watched(self, record: Record) -> None:
        """Export `record`, unless exporters that start spans nest too deep."""
        depth = self._depth
        if depth.value >= _MAX_DEPTH:
            COUNTERS.add("accepted")
            COUNTERS.add("dropped.reentrant")
            report_problem("LifecycleSpanProcessor", "an exporter starts spans without end")
            return
        depth.value += 1
        try:
            self._exporter.export(record)
        finally:
            depth.value -= 1

    def _note_loss(self, what: str, error: Exception) -> None:
        COUNTERS.add("accepted")
        COUNTERS.add("dropped.hook_failed")
        report_problem(f"LifecycleSpanProcessor: {what}", error)

    def _recognise(self, resource: Resource) -> tuple[Resource, Process]:
        """Remember the resource of the latest span, and its process."""
        current = incarnation.current()
        self._next_seq = current.next_seq
        clean = self._sanitiser.process
        # One assignment: with several providers, no thread sees half of a change.
        self._known = known = (resource, clean(current.process_for(resource)))
        clean(current.process_for(None))  # an exporter may introduce it in its file
        self._fast_path = self._hook_parts()
        return known

    def _hook_parts(self) -> object | None:
        """Return what the compiled hooks read; None until open spans are watched, and at the end.

        With None they call the methods here, which try again.
        """
        if not self._begun or self._shut_down:
            return None
        resource, process = self._known
        return hook_parts(
            resource=resource,
            process=process,
            next_seq=incarnation.current().counter,
            record_only=self._record_only,
            export=self._export,
            check=self._sanitiser.check,
            make_safe=self._sanitiser.make_safe,
            table=self._table,
            **self._table.hook_parts,
        )

    def _reset(self) -> None:
        """Forget the process and what is on its way; a forked child is another process."""
        self._depth = _Depth()
        self._late: list[tuple[ReadableSpan, str]] = []
        self._begun = False
        self._known = (None, _UNKNOWN_PROCESS)
        self._fast_path = None  # see `_hook_parts`
        self._next_seq = int


configure(
    "configure_hooks",
    begin=LifecycleSpanProcessor.begin_span,
    end=LifecycleSpanProcessor.end_span,
    add=InflightTable.add,
    entry_type=Entry,
    owner_type=TaskOwner,
    monotonic_ns=monotonic_ns,
)
begin_span: Final = choose("begin_span", LifecycleSpanProcessor.begin_span)
end_span: Final = choose("end_span", LifecycleSpanProcessor.end_span)
hook_parts: Final = choose("hook_parts", no_parts)
