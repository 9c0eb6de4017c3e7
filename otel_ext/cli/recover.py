"""`otel-ext recover`: end what processes that died left open.

Exit code 0 when it was done (also when there was nothing to do), 1 when some
process could not be recovered, 2 when the folder cannot be read or written.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.cli.recover_spans import as_dicts, ended_by, lines_of, open_in
from otel_ext.cli.streams import can_show_unicode, say, say_json, width_of
from otel_ext.cli.validate_report import safe_text
from otel_ext.errors import UsageError
from otel_ext.journal.recovery import recover
from otel_ext.record.timestamps import format_ns

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from otel_ext.cli.commands import Subparsers
    from otel_ext.cli.recover_spans import Ended
    from otel_ext.journal.recovery import Recovered, RecoveryReport

__all__ = ["register", "run"]

_DESCRIPTION: Final = """\
Ends what processes that died left open: each span that was running gets an end
record with abandoned: process-died, dated by the process's last sign of life.
Living processes are left alone, and doing it twice changes nothing. Programs do
this by themselves at their next start in the same folder.

examples:
  otel-ext recover traces
  otel-ext recover --json /var/lib/app/traces
"""
_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
_MAX_DAMAGE_SHOWN: Final = 10


def register(subparsers: Subparsers) -> None:
    """Add the subcommand's parser.

    Args:
        subparsers: Of the parser of `otel-ext`.
    """
    from argparse import RawDescriptionHelpFormatter  # noqa: PLC0415 - argparse is the caller's

    parser = subparsers.add_parser(
        "recover",
        help="close what processes that died left open",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", help="folder that programs wrote records to")
    parser.add_argument(
        "--grace",
        type=_seconds,
        metavar="SECONDS",
        help="take a process on another host or in another container for dead when it was"
        " silent for so long (default: three of its heartbeats)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def _seconds(text: str) -> float:
    from argparse import ArgumentTypeError  # noqa: PLC0415 - as above

    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= _DAY * 365:
        return seconds
    message = f"{text!r} is no number of seconds; give 0 or more"
    raise ArgumentTypeError(message)


def run(args: argparse.Namespace) -> int:
    """Recover the folder of `args`, print what was done, and return the exit code.

    Args:
        args: With `folder`, `grace` and `json`, as `register` defines them.

    Raises:
        UsageError: The folder is missing, or cannot be read or written.
    """
    folder = _checked(args.folder)
    found = open_in(folder)
    report = recover(folder, grace_seconds=args.grace)
    ended = ended_by(report, found)
    if args.json:
        say_json(orjson.dumps(_as_dict(report, as_dicts(ended)), default=str))
    else:
        _print(report)
        _print_spans(report, ended)
    return 1 if report.failed else 0


def _checked(name: str) -> Path:
    shown = safe_text(name)
    folder = Path(name)
    try:
        is_folder = folder.is_dir()
        exists = is_folder or folder.exists()
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown}: {getattr(error, 'strerror', None) or error}") from None
    if not exists:
        hint = "Give the folder that was named as output"
        raise UsageError(f"{shown}: there is no such folder", hint=hint)
    if not is_folder:
        hint = "Give the folder it is in"
        raise UsageError(f"{shown}: a file, not a folder", hint=hint)
    effective = os.access in os.supports_effective_ids
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=effective):
        hint = "Recovery adds records to its files: call it as the user that wrote them"
        raise UsageError(f"{shown}: the folder cannot be written by this user", hint=hint)
    return folder


def _as_dict(
    report: RecoveryReport, ended: Mapping[str, list[dict[str, object]]]
) -> dict[str, object]:
    return {
        "folder": str(report.folder),
        "recovered": [
            {
                "process": one.process.id,
                "pid": one.process.pid,
                "host": one.process.host,
                "spans": one.spans,
                "lines_from_box": one.lines,
                "last_seen": format_ns(one.last_seen_ns),
                "file": None if one.file is None else str(one.file),
                "problem": one.problem or None,
                "ended": ended.get(one.process.id, []),
            }
            for one in report.recovered
        ],
        "living": list(report.living),
        "uncertain": list(report.uncertain),
        "busy": list(report.busy),
        "skipped": [
            {"file": str(path), "offset": at.offset, "length": at.length, "reason": at.reason}
            for path, at in report.skipped
        ],
        "skipped_bytes": report.skipped_bytes,
    }


def _age(ns: int) -> str:
    """Return how long ago a moment was, in its largest unit.

    >>> _age(time_ns() - 150 * 1_000_000_000)
    '2 min ago'
    """
    seconds = max(0, (time_ns() - ns) // _SECOND)
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name} ago"
    return f"{seconds} s ago"


def _print(report: RecoveryReport) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow, and only for people
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if report.recovered:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("PROCESS", "PID", "LAST SEEN", "SPANS ENDED", "FROM BOX", "RESULT"):
            is_figure = heading in {"PID", "SPANS ENDED", "FROM BOX"}
            table.add_column(heading, justify="right" if is_figure else "left")
        for one in report.recovered:
            table.add_row(*(Text(cell) for cell in _row(one)))
        console.print(table)
        console.print()
    console.print(Text(_sentence(report)))
    for path, at in report.skipped[:_MAX_DAMAGE_SHOWN]:
        text = f"skipped {at.length} bytes at {at.offset} of {safe_text(path.name)}: {at.reason}"
        console.print(Text(text, style="dim"))


def _print_spans(report: RecoveryReport, ended: Sequence[Ended]) -> None:
    """Say what the dead processes were doing, and where to look on."""
    lines = list(
        lines_of(
            ended,
            report.spans,
            width=width_of(sys.stdout),
            ascii_only=not can_show_unicode(sys.stdout),
        )
    )
    if lines:
        say("")
        say("What was running when it died:")
        for line in lines:
            say(line)
    if len(report.recovered) > len(report.failed):
        say("")
        say(f"next: otel-ext tree {safe_text(shlex.quote(str(report.folder)))}")


def _row(one: Recovered) -> tuple[str, ...]:
    return (
        safe_text(one.process.id),
        str(one.process.pid or ""),
        _age(one.last_seen_ns) if one.last_seen_ns else "",
        str(one.spans),
        str(one.lines),
        safe_text(one.problem) if one.problem else "done",
    )


def _sentence(report: RecoveryReport) -> str:
    """Return what was done, and what was left and why."""
    count = len(report.recovered) - len(report.failed)
    parts = [f"{count} process(es) recovered, {report.spans} open span(s) ended."]
    if not report.recovered:
        parts = ["Nothing to recover."]
    if report.failed:
        parts.append(f"{len(report.failed)} could not be recovered.")
    if report.living:
        parts.append(f"{len(report.living)} alive.")
    if report.uncertain:
        hint = "seen lately on another host or in another container; try again later"
        parts.append(f"{len(report.uncertain)} uncertain: {hint}.")
    if report.busy:
        parts.append(f"{len(report.busy)} being recovered by somebody else.")
    return " ".join(parts)
