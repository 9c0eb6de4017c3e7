"""Prints the result of `otel-ext validate`: for people, or as JSON for programs."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.readable import as_utf8, count_of
from otel_ext.record.repeated_ids import REPEATED_IDS_ADVICE, RepeatedIds
from otel_ext.terminal.canvas import Canvas, is_terminal
from otel_ext.terminal.output import print_json, print_line, warn
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from otel_ext.record.schema.validation import LineReport

__all__ = ["JsonReport", "Report", "TextReport", "progress_bar"]

_BIG_BYTES: Final = 32 * 1024 * 1024
_MAX_FILES_SHOWN: Final = 20
_COLUMNS: Final = (Column("records"), Column("count", is_number=True))
# Spans compared for repeated ids; of more spans a sample is compared, to bound memory.
_MAX_SPANS: Final = 1 << 16
_MAX_NAMES: Final = 3


class _File:
    """The counts of one file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines = 0
        self.bad = 0
        self.problem = ""


class Report:
    """Counts lines and files, in bounded memory; subclasses print the result.

    Args:
        max_errors: How many bad lines to show.
    """

    def __init__(self, max_errors: int) -> None:
        self.max_errors = max_errors
        self.shapes: Counter[str] = Counter()
        self.files: list[_File] = []
        self.lines = 0
        self.bad = 0
        self.problems = 0
        self.ids = RepeatedIds(_MAX_SPANS)

    def begin_file(self, name: str) -> None:
        """Begin the file `name`, to which the next lines belong."""
        self.files.append(_File(name))

    def line(self, line: LineReport) -> None:
        """Count one line, and show it if it is bad."""
        file = self.files[-1]
        file.lines += 1
        self.lines += 1
        if not line.reasons:
            self.shapes[line.shape] += 1
            if line.shape == "span.start":
                key = (str(line.meta["trace_id"]), str(line.meta["span_id"]))
                self.ids.note_start(key, str(line.meta["process"]))
            return
        file.bad += 1
        self.bad += 1
        if self.bad <= self.max_errors:
            self.show_bad(file.name, line)

    def problem(self, text: str) -> None:
        """Report that the file cannot be checked, or not to its end."""
        file = self.files[-1]
        file.problem = text
        self.problems += 1
        warn(f"{file.name}: {text}")

    def show_bad(self, name: str, line: LineReport) -> None:
        """Show one bad line of the file `name`."""
        raise NotImplementedError

    def finish(self) -> None:
        """Print the result for all files."""
        raise NotImplementedError


class TextReport(Report):
    """Prints for people: `FILE:LINE: reason`, as compilers do, then a table."""

    def show_bad(self, name: str, line: LineReport) -> None:
        """Print one line per reason."""
        for reason in line.reasons:
            print_line(f"{printable_path(name)}:{line.number}: {reason}")

    def finish(self) -> None:
        """Print the table, and the result in one sentence."""
        left_out = self.bad - self.max_errors
        if left_out > 0:
            print_line(f"... and {left_out:,} more bad lines (see --max-errors)")
        rows = [(shape, f"{self.shapes[shape]:,}") for shape in sorted(self.shapes)]
        styles = [""] * len(rows)
        if self.bad:
            rows.append(("bad lines", f"{self.bad:,}"))
            styles.append("red")
            if self.max_errors:
                print_line("")
        if rows:
            for line in table_lines(_COLUMNS, rows, Canvas.of(sys.stdout), styles):
                print_line(line)
            print_line("")
        self._show_files()
        if self.ids.count:
            print_line(_repeated(self.ids))
        print_line(self._outcome())

    def _show_files(self) -> None:
        if len(self.files) == 1:
            return
        bad = [file for file in self.files if file.bad]
        for file in bad[:_MAX_FILES_SHOWN]:
            print_line(f"{printable_path(file.name)}: {file.bad:,} of {file.lines:,} lines bad")
        if len(bad) > _MAX_FILES_SHOWN:
            print_line(f"... and {len(bad) - _MAX_FILES_SHOWN:,} more files with bad lines")

    def _outcome(self) -> str:
        checked = len(self.files) - self.problems
        found = f"{self.bad:,} bad" if self.bad else "all good"
        read = f"{count_of(checked, 'file')}, {count_of(self.lines, 'line')}"
        outcome = f"{read}: {found if self.lines else 'nothing to check'}"
        return outcome + (f"; {self.problems} could not be checked" if self.problems else "")


class JsonReport(Report):
    """Prints one JSON object at the end, for programs."""

    def __init__(self, max_errors: int) -> None:
        super().__init__(max_errors)
        self.errors: list[dict[str, object]] = []

    def show_bad(self, name: str, line: LineReport) -> None:
        """Keep the bad line for the JSON object."""
        reasons = [
            dict(zip(("pointer", "message"), _split(text), strict=True)) for text in line.reasons
        ]
        self.errors.append(
            {
                "file": as_utf8(name),
                "line": line.number,
                "offset": line.offset,
                "reasons": reasons,
            },
        )

    def finish(self) -> None:
        """Print the JSON object."""
        outcome = {
            "ok": bool(self.files) and not self.bad and not self.problems,
            "lines": self.lines,
            "bad": self.bad,
            "records": dict(sorted(self.shapes.items())),
            "files": [
                {
                    "file": as_utf8(file.name),
                    "lines": file.lines,
                    "bad": file.bad,
                    "problem": file.problem or None,
                }
                for file in self.files
            ],
            "errors": self.errors,
            "errors_left_out": self.bad - len(self.errors),
            "repeated_ids": {
                "count": self.ids.count,
                "processes": sorted(self.ids.processes),
                "sample": self.ids.is_sample,
            },
        }
        print_json(orjson.dumps(outcome, option=orjson.OPT_INDENT_2))


def _repeated(ids: RepeatedIds) -> str:
    """Return a sentence on the span ids that several processes use, and what to do."""
    prefix = "at least " if ids.is_sample else ""
    spans = "1 span id repeats" if ids.count == 1 else f"{ids.count:,} span ids repeat"
    names = sorted(ids.processes)
    shown = ", ".join(names[:_MAX_NAMES])
    more = len(names) - _MAX_NAMES
    shown += f" and {more:,} more" if more > 0 else ""
    return (
        f"{prefix}{spans}: {len(names):,} processes use the same ids for their own spans"
        f" ({shown}). {REPEATED_IDS_ADVICE}."
    )


def _split(reason: str) -> tuple[str, str]:
    """Split a reason into pointer and message; the pointer is empty for the whole line."""
    pointer, found, message = reason.partition(": ")
    if not found:
        return "", reason
    return pointer if pointer.startswith("/") else "", message


@contextmanager
def progress_bar(total: int) -> Generator[Callable[[int], None]]:
    """Show a progress bar on the standard error, for large files on a terminal.

    Args:
        total: Bytes to read; for few bytes there is no bar.

    Yields:
        A function to call with the number of bytes read since the last call.
    """
    if total < _BIG_BYTES or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for a bar
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    bar = Progress(
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=is_terminal(sys.stdout),
    )
    with bar:
        task = bar.add_task("reading", total=total)
        yield lambda size: bar.advance(task, size)
