"""Prints the result of `otel-ext validate`: for people, or as JSON for programs."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.readable import as_utf8, count_of, listed
from otel_ext.record.repeated_ids import REPEATED_IDS_ADVICE, RepeatedIds
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, print_lines, warn
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import printable_path

if TYPE_CHECKING:
    from otel_ext.record.schema.validation import LineReport

__all__ = ["Report", "print_result"]

_MAX_FILES_SHOWN: Final = 20
_COLUMNS: Final = (Column("records"), Column("count", is_number=True))
# Spans compared for repeated ids; of more spans a sample is compared, to bound memory.
_MAX_SPANS: Final = 1 << 16
_MAX_NAMES: Final = 3


@dataclass
class _File:
    """The counts of one file."""

    name: str
    lines: int = 0
    bad: int = 0
    problem: str = ""


class Report:
    """Counts lines and files, in bounded memory.

    Args:
        max_errors: How many bad lines to show.
        as_json: Whether to print one JSON object at the end, instead of lines for people,
            where a bad line is printed at once.
    """

    def __init__(self, max_errors: int, *, as_json: bool) -> None:
        self.max_errors = max_errors
        self.as_json = as_json
        self.errors: list[object] = []
        self.shapes: Counter[str] = Counter()
        self.files: list[_File] = []
        self.bad = 0
        self.ids = RepeatedIds(_MAX_SPANS)

    @property
    def lines(self) -> int:
        """Number of lines in all files."""
        return sum(file.lines for file in self.files)

    @property
    def problems(self) -> int:
        """Number of files that could not be checked to their end."""
        return sum(bool(file.problem) for file in self.files)

    def begin_file(self, name: str) -> None:
        """Begin the file `name`, to which the next lines belong."""
        self.files.append(_File(name))

    def line(self, line: LineReport) -> None:
        """Count one line, and show it if it is bad."""
        file = self.files[-1]
        file.lines += 1
        if not line.reasons:
            self.shapes[line.shape] += 1
            if line.shape == "span.start":
                key = (str(line.meta["trace_id"]), str(line.meta["span_id"]))
                self.ids.note_start(key, str(line.meta["process"]))
            return
        file.bad += 1
        self.bad += 1
        if self.bad <= self.max_errors:
            if self.as_json:
                self.errors.append(_as_dict(file.name, line))
            else:
                for reason in line.reasons:
                    print_line(f"{printable_path(file.name)}:{line.number}: {reason}")

    def problem(self, text: str) -> None:
        """Report that the file cannot be checked, or not to its end."""
        self.files[-1].problem = text
        warn(f"{self.files[-1].name}: {text}")


def print_result(report: Report) -> None:
    """Print the result for all files: a table and a sentence, or the JSON object."""
    if report.as_json:
        print_json(_result_as_json(report))
        return
    left_out = report.bad - report.max_errors
    if left_out > 0:
        print_line(f"... and {left_out:,} more bad lines (see --max-errors)")
    rows = [(shape, f"{report.shapes[shape]:,}") for shape in sorted(report.shapes)]
    styles = [""] * len(rows)
    if report.bad:
        rows.append(("bad lines", f"{report.bad:,}"))
        styles.append("red")
        if report.max_errors:
            print_line("")
    if rows:
        print_lines(table_lines(_COLUMNS, rows, Canvas.of(sys.stdout), styles))
        print_line("")
    if len(report.files) > 1:
        _print_bad_files([file for file in report.files if file.bad])
    if report.ids.count:
        print_line(_repeated(report.ids))
    print_line(_outcome(report))


def _print_bad_files(files: list[_File]) -> None:
    for file in files[:_MAX_FILES_SHOWN]:
        print_line(f"{printable_path(file.name)}: {file.bad:,} of {file.lines:,} lines bad")
    if len(files) > _MAX_FILES_SHOWN:
        print_line(f"... and {len(files) - _MAX_FILES_SHOWN:,} more files with bad lines")


def _outcome(report: Report) -> str:
    checked = len(report.files) - report.problems
    found = f"{report.bad:,} bad" if report.bad else "all good"
    read = f"{count_of(checked, 'file')}, {count_of(report.lines, 'line')}"
    outcome = f"{read}: {found if report.lines else 'nothing to check'}"
    return outcome + (f"; {report.problems} could not be checked" if report.problems else "")


def _as_dict(name: str, line: LineReport) -> dict[str, object]:
    reasons = [
        dict(zip(("pointer", "message"), _split(text), strict=True)) for text in line.reasons
    ]
    return {"file": as_utf8(name), "line": line.number, "offset": line.offset, "reasons": reasons}


def _result_as_json(report: Report) -> bytes:
    outcome = {
        "ok": bool(report.files) and not report.bad and not report.problems,
        "lines": report.lines,
        "bad": report.bad,
        "records": dict(sorted(report.shapes.items())),
        "files": [
            {
                "file": as_utf8(file.name),
                "lines": file.lines,
                "bad": file.bad,
                "problem": file.problem or None,
            }
            for file in report.files
        ],
        "errors": report.errors,
        "errors_left_out": report.bad - len(report.errors),
        "repeated_ids": {
            "count": report.ids.count,
            "processes": sorted(report.ids.processes),
            "sample": report.ids.is_sample,
        },
    }
    return orjson.dumps(outcome, option=orjson.OPT_INDENT_2)


def _repeated(ids: RepeatedIds) -> str:
    """Return a sentence on the span ids that several processes use, and what to do."""
    prefix = "at least " if ids.is_sample else ""
    spans = "1 span id repeats" if ids.count == 1 else f"{ids.count:,} span ids repeat"
    names = sorted(ids.processes)
    return (
        f"{prefix}{spans}: {len(names):,} processes use the same ids for their own spans"
        f" ({listed(names, _MAX_NAMES)}). {REPEATED_IDS_ADVICE}."
    )


def _split(reason: str) -> tuple[str, str]:
    """Split a reason into pointer and message; the pointer is empty for the whole line."""
    pointer, found, message = reason.partition(": ")
    if not found:
        return "", reason
    return pointer if pointer.startswith("/") else "", message
