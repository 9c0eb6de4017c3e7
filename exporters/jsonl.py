"""`JsonlExporter`: writes records as lines of JSON, one file for each process.

The journal stores them: by default a line goes into memory that survives a kill, and
one worker thread writes it to the file. Nothing is created before the first record,
and a forked child gets its own ring buffer and file.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final, get_args

from otel_ext._accel import bind, choose, no_parts
from otel_ext.errors import ConfigError
from otel_ext.inflight.tracker import dump
from otel_ext.journal.path_check import absolute_path, problem_with
from otel_ext.journal.settings import Durability, JournalSettings
from otel_ext.journal.write.exit import PostExitJournal
from otel_ext.journal.write.warm_up import warm_up
from otel_ext.record.codec import encode_line
from otel_ext.record.untyped import reduce_record
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process import incarnation
from otel_ext.runtime.process.records import (
    PROCESS_START,
    closing_records,
    is_main_known,
    process_start_record,
)
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from otel_ext.journal.write.opening import JournalState
    from otel_ext.protocols import Encoding
    from otel_ext.record.model import Process, Record

__all__ = ["JsonlExporter"]

_LOST: Final = "JsonlExporter: records are lost"
_MODES: Final = get_args(Durability)
_MAX_INTRODUCED: Final = 10_000
_MAX_REMEMBERED: Final = 100_000
# A dump that another process requests must not fill the ring buffer and push records out.
_MAX_DUMPED: Final = 1_000
# An exit takes two seconds at most, and ending the open spans may need some of that.
_CLOSE_SECONDS: Final = 1.25
# The share of it for writing out the records before the last one.
_LAST_FLUSH: Final = 0.4
# Spans that the full table refused; how many of them have ended is unknown.
_REFUSED: Final = "inflight.refused"
export_parts: Final = choose("export_parts", no_parts)


class JsonlExporter:
    """Writes each record as one line to a JSONL file.

    The first line of a file (`process.start`) names the process that writes it and
    its resource; the last line after an orderly end is `process.end`. What cannot be
    written is dropped, counted and reported once; the exporter tries the file again,
    so that writing goes on once there is space or permission.

    Args:
        path: A folder, which gets a file for each process (created with mode 0700 if
            missing), or a file: one that exists, or a name that ends in `.jsonl` or
            `.json`. Several processes may append to one file.
        durability: How a record leaves the caller: `mapped` into memory that survives
            a kill, `queued` in memory of the process, `write` by one system call each.
            Default: that of `settings`, else `mapped`.
        settings: Everything else about the journal.
        open_records: Returns what a file that follows a full one repeats, so that old files
            can be deleted: the records of open spans and living entities. Default: those of
            a `LifecycleSpanProcessor`; without one, the starts that were exported here.

    Raises:
        ConfigError: `path` is not a path, or relative to a working directory that is
            gone, or `durability` is unknown.

    >>> import tempfile, pathlib
    >>> from otel_ext.record.model import Process, Record
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exporter = JsonlExporter(pathlib.Path(folder, "trace.jsonl"))
    ...     exporter.export(Record("event", None, "deployed", 0, 1, Process("p")))
    ...     exporter.shutdown()
    ...     lines = pathlib.Path(folder, "trace.jsonl").read_text().splitlines()
    >>> [line.split('"event":"')[1].split('"')[0] for line in lines]
    ['process.start', 'deployed', 'process.end']
    """

    never_starts_spans = True
    """It never starts spans, so the processor need not guard against recursion."""
    never_waits = True
    """It never blocks, so it is called on the user's thread."""

    _introduced: dict[str, Process]
    _open: dict[tuple[str, str], Record]
    _open_sources: tuple[Callable[[], Iterable[Record]], ...]
    _begun: bool
    _reported_open: bool
    _first_line: tuple[Process, Encoding, bytes] | None
    __slots__ = ("__dict__", "__weakref__", "_fast_path")  # read at its offset

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability | None = None,
        settings: JournalSettings | None = None,
        open_records: Callable[[], Iterable[Record]] | None = None,
    ) -> None:
        self._path = absolute_path(path)
        # Without a source, the exporter remembers the open spans itself.
        self._open_sources = () if open_records is None else (open_records,)
        self._takes_sources = open_records is None
        self._encoding: Encoding = encode_line
        self._closed = False
        self._journal = PostExitJournal(
            self._path,
            _with_durability(settings or JournalSettings(), durability),
            first_lines=self._preamble,
            last_lines=self._ending,
            worker=shared_worker(),
            on_request=_dump_open_spans,
        )
        self._reset()
        after_fork_in_child(self._reset)
        warm_up(self._path)

    @property
    def state(self) -> JournalState:
        """The state of the journal, and the file it writes to."""
        return self._journal.state()

    def export(self, record: Record) -> None:
        """Write one record.

        Raises:
            RecursionError: The thread has no stack left. Nothing else is raised.
        """
        self.export_as(record, encode_line)

    @property
    def fast_export(self) -> Callable[[Record], None]:
        """`export`, compiled if the extension was built; it behaves as the method does."""
        return bind("bind_export", self.export, self) if self._has_default_export else self.export

    @property
    def _has_default_export(self) -> bool:
        """Whether neither a subclass nor this object changes what is exported."""
        methods = (getattr(one, "__func__", None) for one in (self.export, self.export_as))
        return tuple(methods) == (JsonlExporter.export, JsonlExporter.export_as)

    def learn_open_records(self, open_records: Callable[[], Iterable[Record]]) -> None:
        """Get the open spans from `open_records`, instead of remembering them.

        A processor that exports here passes its table; several may do so. No effect if the
        constructor got `open_records`.

        Args:
            open_records: Returns the start records of the open spans.
        """
        if self._takes_sources and self._has_default_export:
            self._open_sources = (*self._open_sources, open_records)
            self._open.clear()

    def prepare_first_line(self, process: Process, encoding: Encoding = encode_line) -> None:
        """Prepare the first line of the file, so that the first record need not wait for it.

        Args:
            process: The process of the first record; for any other the line is not used.
            encoding: The encoding of the records; likewise.
        """
        if is_main_known():  # else the line would lack the name of the program
            seq = incarnation.current().next_seq()
            self._first_line = process, encoding, encoding(process_start_record(process, seq))
            warm_up(self._path)  # again, since the rest of set-up ran in between

    def export_reduced(self, record: Record, error: Exception) -> None:
        """Write a record that cannot be encoded in a reduced form; for the compiled export.

        Args:
            record: The record; it has been counted as accepted.
            error: Why it cannot be encoded.
        """
        self._append_reduced(record, encode_line, error)

    def note_unwritten(self, error: Exception) -> None:
        """Count and report a record that the journal could not take."""
        COUNTERS.add("dropped.write_failed")
        report_problem(_LOST, error)

    def export_as(self, record: Record, encoding: Encoding) -> None:
        """Write one record as `encoding` renders it; raises what `export` does."""
        check_process()
        self._accept()
        try:
            line = encoding(record)
        except Exception as error:  # noqa: BLE001 - the encoding may be the user's
            self._append_reduced(record, encoding, error)
        else:
            self._append_line(record, encoding, line)

    def _append_reduced(self, record: Record, encoding: Encoding, error: Exception) -> None:
        """Write ids, times and status of a record that cannot be encoded: its span must end."""
        if isinstance(error, RecursionError):
            COUNTERS.add("dropped.encode_failed")
            raise error  # a caller with stack left exports it again
        line = b""
        if record.kind != "process":
            with suppress(Exception):  # the encoding may fail on this form too
                line = encoding(reduce_record(record))
        if not line:
            COUNTERS.add("dropped.encode_failed")
            report_problem("JsonlExporter: a record cannot be encoded", error)
            return
        COUNTERS.add("reduced")
        report_problem("JsonlExporter: a record is written without its data", error)
        self._append_line(record, encoding, line)

    def _append_line(self, record: Record, encoding: Encoding, line: bytes) -> None:
        try:
            # Before the append, since that may begin a new file, which repeats the open spans.
            if not self._open_sources and record.phase is not None:
                self._remember(record)
            if record.process.id in self._introduced or self._introduce(record, encoding):
                # The journal counts what it refuses.
                self._journal.append(line)
        except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
            self.note_unwritten(error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write all records exported so far to the file; whether that was done in time."""
        check_process()
        try:
            return self._journal.flush(timeout_millis)
        except Exception as error:  # noqa: BLE001 - a flush may come from anywhere
            report_problem("JsonlExporter: flush failed", error)
            return False

    def shutdown(self) -> None:
        """Write `process.end` and close; later records are dropped. Idempotent.

        While the program exits, later records are still written, each followed by
        another `process.end`.
        """
        self.shutdown_by(monotonic() + _CLOSE_SECONDS)

    def shutdown_by(self, until: float) -> None:
        """Do what `shutdown` does, until `until`, a time of the monotonic clock."""
        check_process()
        if self._closed:
            return
        self._closed = not is_exiting()
        journal, left = self._journal, max(until - monotonic(), 0.0)
        try:
            unfinished = self._count_open() > 0
            if not self._closed:
                journal.close_for_exit(left, unfinished=unfinished)
                return
            journal.flush(int(left * _LAST_FLUSH * 1000))
            journal.append_last()
            journal.close(max(until - monotonic(), 0.0), unfinished=unfinished)
        except Exception as error:  # noqa: BLE001 - the program is ending
            report_problem("JsonlExporter: shutdown failed", error)

    def has_room(self, until: float) -> bool:
        """Wait for room for many more records, until `until` at most; whether there is room."""
        return self._journal.has_room(until)

    def _count_open(self) -> int:
        """Return how many spans may lack an end in the file, including those the table refused."""
        spans = sum(record.kind == "span" for record in self._open_records())
        return spans + COUNTERS.value(_REFUSED)

    def _ending(self) -> list[bytes]:
        """Return the lines that close the file, with the current counts.

        If spans may still be open, the lines report it, and recovery ends those spans; no
        second report follows until the last of them has ended. It does if records were
        lost, which may have been an end or the first report.
        """
        lost = COUNTERS.value("dropped.not_written")
        if self._reported_open and not lost and self._count_open():
            return []
        pending = self._journal.state().pending > 0
        records = closing_records(
            self._introduced.values(), lambda: self._count_open() + lost, pending=pending
        )
        self._reported_open = any("open_spans" in record.extra for record in records)
        COUNTERS.add("accepted", len(records))
        return [self._encoding(record) for record in records]

    def _introduce(self, record: Record, encoding: Encoding) -> bool:
        """Make sure that the file has the `process.start` of `record.process`; False if no file."""
        if self._closed:
            return True  # the journal counts it
        current = incarnation.current()
        process = record.process
        if not self._introduced:
            problem = problem_with(self._path)
            if problem:
                COUNTERS.add("dropped.write_failed")
                report_problem(_LOST, problem)
                return False
            # The journal is not open yet: its first lines will introduce these.
            self._encoding = encoding
            own = process
            if process.id != current.id:
                own = current.process_for(None)
                own = own.clean or own  # nothing else has redacted it for this file
            self._introduced[own.id] = own
            if self._open_sources:
                known, accept = self._introduced, COUNTERS.counter("accepted")
                self._fast_path = export_parts(
                    introduced=known, accept=accept, journal=self._journal
                )
        if process.id in self._introduced or len(self._introduced) >= _MAX_INTRODUCED:
            return True
        self._introduced[process.id] = process
        # A record may name another process, of which this one has no facts to write.
        if process.pid == current.pid and record.name != PROCESS_START:
            COUNTERS.add("accepted")
            self._journal.append(encoding(process_start_record(process, current.next_seq())))
        return True

    def _preamble(self) -> list[bytes]:
        """Return the first lines of a file: the processes that write it, and the open spans."""
        current = incarnation.current()
        first, self._first_line = self._first_line, None
        if first is not None and not self._begun and self._begins_with(first):
            COUNTERS.add("accepted")
            self._begun = True
            return [first[2]]
        records = [
            process_start_record(process, current.next_seq())
            for process in list(self._introduced.values())
            if process.pid == current.pid
        ]
        if self._begun:
            records.extend(self._open_records())
        else:
            # The journal counts these as written, as it does the lines of callers.
            COUNTERS.add("accepted", len(records))
            self._begun = True
        encoding = self._encoding
        return [encoding(record) for record in records]

    def _begins_with(self, first: tuple[Process, Encoding, bytes]) -> bool:
        """Return whether the prepared line fits the process and encoding of this file."""
        known = list(self._introduced.values())
        return first[1] is self._encoding and len(known) == 1 and known[0] is first[0]

    def _remember(self, record: Record) -> None:
        if record.phase == "end":
            self._open.pop(record.key, None)
        elif record.phase == "start" and len(self._open) < _MAX_REMEMBERED:
            self._open[record.key] = record

    def _open_records(self) -> list[Record]:
        if not self._open_sources:
            return list(self._open.values())
        return [record for source in self._open_sources for record in source()]

    def _reset(self) -> None:
        """Start again in a forked child, whose file has its own first lines."""
        self._introduced = {}
        self._open = {}
        self._begun = self._reported_open = False
        self._first_line = None
        self._accept: Callable[[], object] = self._accept_first
        # For the compiled export; while this is None, it calls the method.
        self._fast_path = None

    def _accept_first(self) -> None:
        """Count a record, and the next ones directly; a forked child has counters of its own."""
        self._accept = COUNTERS.counter("accepted").__next__
        self._accept()


def _dump_open_spans() -> None:
    """Record where the open spans are, as `otel-ext ps` requests."""
    dump(_MAX_DUMPED)


def _with_durability(settings: JournalSettings, durability: str | None) -> JournalSettings:
    for mode in _MODES:
        if durability == mode:
            return replace(settings, durability=mode)
    if durability is None:
        return settings
    raise ConfigError(
        f"durability {durability!r} is not known", hint=f"Use one of {', '.join(_MODES)}."
    )
