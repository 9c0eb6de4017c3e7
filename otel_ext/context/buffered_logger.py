"""`BufferedLogger`: writes the records of one trace to one file, at its end.

The file is complete or not there: it is written beside its place and renamed. If the
process dies within the block, the records are in the journal, and
`BufferedLogger.recover` writes the file from there.
"""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from otel_ext.context.async_block import AsyncBlock
from otel_ext.context.trace import MAX_RECORDS, Trace, trace_context
from otel_ext.context.trace_files import BUFFERED_FILE, lines_for
from otel_ext.errors import ConfigError, JournalError
from otel_ext.record.codec import encode_line
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.records import process_start_record
from otel_ext.runtime.whole_file import whole_file
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from opentelemetry.util.types import AttributeValue

    from otel_ext.record.model import Process, Record

__all__ = ["BufferedLogger"]


class BufferedLogger(AsyncBlock):
    """Runs a block in a trace of its own, and writes all its records to one file at the end.

    Spans and logs of the block are recorded as everywhere; the file is another copy. Each
    object is for one block.

    Args:
        path: The file; its folder is made. An older file is replaced.
        name: The name of the root span; by default the file's name without its ending.
        max_records: How many records are kept; further ones are dropped, and that is reported.
        report: Called with the file's path when it is written, to make a report of it. A
            failure of it is reported on stderr.
        attributes: The root span's attributes at the start.

    Raises:
        ConfigError: `path` is a folder, or `max_records` is not a positive number.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with BufferedLogger(f"{folder.name}/nightly.jsonl") as logger:
    ...     print(logger.path.name)
    nightly.jsonl
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "",
        max_records: int = MAX_RECORDS,
        report: Callable[[Path], object] | None = None,
        **attributes: AttributeValue,
    ) -> None:
        self.path = Path(path).absolute()
        if os.path.isdir(self.path):  # noqa: PTH112 - the other one may raise
            raise ConfigError(f"path={str(path)!r} is a folder", hint="Name a file in it.")
        if report is not None and not callable(report):
            raise ConfigError(
                f"report={short_repr(report)} cannot be called",
                hint="Pass a function that takes a path.",
            )
        self.trace: Trace | None = None
        self._report = report
        self._context = trace_context(
            name or self.path.stem,
            max_records=max_records,
            **{BUFFERED_FILE: str(self.path)},
            **attributes,
        )
        self._logger: Any = structlog.get_logger()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the methods of structlog's loggers
        """Return a method of structlog's logger, such as `info`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._logger, name)

    def __enter__(self) -> BufferedLogger:  # noqa: PYI034 - typing.Self came with Python 3.11
        """Start the trace."""
        self.trace = self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the trace and write the file."""
        self._context.__exit__(kind, error, trace)
        if self.trace is None or not self.trace.trace_id:
            return
        records = self.trace.records()
        if self.trace.dropped:
            report_problem(
                "BufferedLogger",
                f"{self.path} lacks {self.trace.dropped} records beyond max_records",
            )
        if not records:
            report_problem("BufferedLogger", f"{self.path} is not written: there are no records")
            return
        try:
            _write(self.path, _lines(records))
        except Exception as problem:  # noqa: BLE001 - nothing may reach the block's caller
            report_problem(f"BufferedLogger: {self.path} is not written", problem)
        else:
            _make_report(self._report, self.path)

    @staticmethod
    def recover(
        path: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        *,
        report: Callable[[Path], object] | None = None,
    ) -> int:
        """Write the file of a process that died before it could, from a folder of records.

        The newest trace for that file is written. Call it after `otel-ext recover`, so that
        spans which never ended have their ends too.

        Args:
            path: The file.
            folder: The folder that the program recorded to.
            report: As for `BufferedLogger`.

        Returns:
            How many lines were written; 0 if the folder has no trace for the file.

        Raises:
            JournalError: The folder cannot be read, or the file cannot be written.

        >>> BufferedLogger.recover("nightly.jsonl", "no-such-folder")
        Traceback (most recent call last):
        otel_ext.errors.JournalError: no-such-folder is not a folder. Name a folder of records.
        """
        target = Path(path).absolute()
        lines = lines_for(target, Path(folder))
        first = next(lines, None)
        if first is None:
            return 0
        try:
            number = _write(target, chain([first], lines))
        except OSError as error:
            raise JournalError(f"{target} cannot be written: {error}") from error
        _make_report(report, target)
        return number


def _make_report(report: Callable[[Path], object] | None, path: Path) -> None:
    if report is None:
        return
    try:
        report(path)
    except Exception as error:  # noqa: BLE001 - it is the program's own function
        report_problem(f"BufferedLogger: {path} has no report", error)


def _lines(records: Iterable[Record]) -> Iterable[bytes]:
    """Yield the lines of a file: each process before its first record."""
    introduced: set[Process] = set()
    for record in records:
        if record.process not in introduced:
            introduced.add(record.process)
            yield encode_line(process_start_record(record.process, 0))
        yield encode_line(record)


def _write(path: Path, lines: Iterable[bytes]) -> int:
    """Write the lines to a file, all or none; return how many they are."""
    number = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        for number, line in enumerate(lines, 1):  # noqa: B007 - counts them
            file.write(line)
    return number
