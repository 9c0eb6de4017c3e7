"""`otel-ext recover`: ends the spans that dead processes left open.

Exit code 0 if all was recovered (also if there was nothing to do), 1 if some process
could not be recovered, 2 if the folder cannot be read or written.
"""

from __future__ import annotations

import os
import shlex
import sys
from time import time_ns
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.cli.arguments import seconds
from otel_ext.cli.ended_spans import as_dicts, ended_by, lines_of, open_in
from otel_ext.cli.inputs import add_inputs, inputs_of, no_records_message
from otel_ext.errors import OtelExtError, UsageError
from otel_ext.journal.recovery.recover import recover
from otel_ext.readable import ago, as_utf8
from otel_ext.record.timestamps import format_ns
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, print_lines, warn
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import printable_path, wrapped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from otel_ext.cli.ended_spans import EndedSpan
    from otel_ext.journal.recovery.recover import Recovered, RecoveryReport

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Ends the spans that dead processes left open: each gets an end record with
abandoned: process-died, dated when its process was last active. Living
processes are not touched, and a second run changes nothing. Programs do the
same when they start in the folder.

examples:
  otel-ext recover                      the folder in the setting output
  otel-ext recover traces
  otel-ext recover --json /var/lib/app/traces
  otel-ext recover --all                wherever running programs record

exit code: 0 if all was recovered or there was nothing to do; 1 if a process or
a folder of --all could not be recovered; 2 for wrong use or a wrong folder
"""
_MAX_DAMAGE_SHOWN: Final = 10
_COLUMNS: Final = (
    Column("PROCESS", share=1.0),
    Column("PID", is_number=True),
    Column("LAST SEEN"),
    Column("SPANS ENDED", is_number=True),
    Column("FROM RING", is_number=True),
    Column("RESULT"),
)


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_inputs(parser, "folders")
    parser.add_argument(
        "--grace",
        type=seconds,
        metavar="SECONDS",
        help="treat a process on another host or in another container as dead after this"
        " much silence (default: three of its heartbeats)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per folder")


def run(args: argparse.Namespace) -> int:
    """Recover the folders of `args`, print the result, and return the exit code."""
    found = inputs_of(args)
    folders: list[Path] = []
    for folder in found:
        try:
            _require_writable(folder)
        except UsageError as error:
            if not args.all:
                raise
            warn(str(error))
        else:
            folders.append(folder)
    if reason := no_records_message(found, args):
        warn(reason)
    is_done = len(folders) == len(found)
    for folder in folders:
        try:
            is_done &= _recover(folder, args, several=len(folders) > 1)
        except (OtelExtError, OSError) as error:
            if not args.all:
                raise
            is_done = False
            warn(f"{folder}: {error}")
    return 0 if is_done else 1


def _recover(folder: Path, args: argparse.Namespace, *, several: bool) -> bool:
    """Recover one folder and print the result; return whether all of it succeeded."""
    found = open_in(folder)
    report = recover(folder, grace_seconds=args.grace)
    ended = ended_by(report, found)
    if args.json:
        print_json(orjson.dumps(_as_dict(report, as_dicts(ended))))
    else:
        if several:
            print_line(f"{printable_path(folder)}:")
        print_lines(_lines(report, ended, Canvas.of(sys.stdout)))
        if several:
            print_line("")
    return not report.failed


def _require_writable(folder: Path) -> None:
    effective = os.access in os.supports_effective_ids
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=effective):
        hint = "Run this as the user that wrote the records: recovery adds records to its files"
        raise UsageError(f"{printable_path(folder)}: cannot be written by this user", hint=hint)


def _as_dict(
    report: RecoveryReport, ended: Mapping[str, list[dict[str, object]]]
) -> dict[str, object]:
    return {
        "folder": as_utf8(str(report.folder)),
        "recovered": [
            {
                "process": one.process.id,
                "pid": one.process.pid,
                "host": one.process.host,
                "spans": one.spans,
                "lines_from_ring": one.lines,
                "last_seen": format_ns(one.last_seen_ns),
                "file": None if one.file is None else as_utf8(str(one.file)),
                "problem": as_utf8(one.problem) or None,
                "ended": ended.get(one.process.id, []),
            }
            for one in _oldest_first(report)
        ],
        "living": list(report.living),
        "uncertain": list(report.uncertain),
        "busy": list(report.busy),
        "skipped": [
            {
                "file": as_utf8(str(path)),
                "offset": at.offset,
                "length": at.length,
                "reason": at.reason,
            }
            for path, at in report.skipped
        ],
        "skipped_bytes": report.skipped_bytes,
    }


def _oldest_first(report: RecoveryReport) -> list[Recovered]:
    return sorted(report.recovered, key=lambda one: one.last_seen_ns)


def _lines(report: RecoveryReport, ended: Sequence[EndedSpan], canvas: Canvas) -> Iterator[str]:
    """Yield the result for people: the processes, their spans, and the next command."""
    if report.recovered:
        yield from table_lines(_COLUMNS, list(map(_row, _oldest_first(report))), canvas)
        yield ""
    yield from wrapped(_sentence(report), canvas.width)
    for path, at in report.skipped[:_MAX_DAMAGE_SHOWN]:
        start = f"{at.offset} of {printable_path(path.name)}"
        yield canvas.paint("dim", f"skipped {at.length} bytes at {start}: {at.reason}")
    lines = list(lines_of(ended, report.spans, canvas))
    if lines:
        yield from ("", "What was running when it died:", *lines)
    if len(report.recovered) > len(report.failed):
        yield from ("", f"next: otel-ext tree {printable_path(shlex.quote(str(report.folder)))}")


def _row(one: Recovered) -> tuple[str, ...]:
    return (
        printable_path(one.process.id),
        str(one.process.pid or ""),
        ago(one.last_seen_ns, time_ns()) if one.last_seen_ns else "",
        str(one.spans),
        str(one.lines),
        printable_path(one.problem) if one.problem else "done",
    )


def _sentence(report: RecoveryReport) -> str:
    """Return the result in a sentence: what was recovered, what was not, and why."""
    count = len(report.recovered) - len(report.failed)
    parts = [f"{count} process(es) recovered, {report.spans} open span(s) ended."]
    if not report.recovered:
        parts = ["Nothing to recover."]
    if report.failed:
        parts.append(f"{len(report.failed)} could not be recovered.")
    if report.living:
        parts.append(f"{len(report.living)} alive.")
    if report.uncertain:
        hint = "active lately on another host or in another container; try again later"
        parts.append(f"{len(report.uncertain)} uncertain: {hint}.")
    if report.busy:
        parts.append(f"{len(report.busy)} being recovered by another process.")
    return " ".join(parts)
