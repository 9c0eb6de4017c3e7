"""`otel-ext validate`: are the records in these files well formed?

Exit code 0 when they all are, 1 when one is not, 2 when something cannot be
read or is no file of records. Reads a line at a time, however large the file.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.cli.arguments import line_count
from otel_ext.cli.validate_report import JsonReport, TextReport, progress_bar, safe_text
from otel_ext.errors import UsageError
from otel_ext.record.validation import LineReport, validate_stream

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from io import BufferedReader

    from otel_ext.cli.commands import Subparsers
    from otel_ext.cli.validate_report import Report

__all__ = ["register", "run"]

_BUFFER_BYTES: Final = 1 << 20
_ENOUGH_LINES: Final = 10
_STDIN: Final = "-"
# Enough lines between two looks at the progress bar that it costs nothing.
_LINES_A_STEP: Final = 4_096
_DESCRIPTION: Final = """\
Checks files of records line by line against version 2 of the record format
and says what is wrong and where. Prints a table of what the files hold.

examples:
  otel-ext validate traces                 all *.jsonl in a folder
  otel-ext validate old.jsonl new.jsonl    these files
  gzip -dc old.jsonl.gz | otel-ext validate -
"""
_OTHER_FORMATS: Final = (
    (b"\x1f\x8b", "It is compressed: gzip -dc FILE | otel-ext validate -"),
    (b"\x28\xb5\x2f\xfd", "It is compressed: zstd -dc FILE | otel-ext validate -"),
    (b"\xff\xfe", "It is text in UTF-16; the format is UTF-8"),
    (b"SQLite format 3", "It is a database; its records are in the *.jsonl files"),
)
_HINT: Final = "A file of records has one JSON object a line"


class _Source(NamedTuple):
    """One file to read; `path` is None for the standard input."""

    name: str
    path: Path | None
    size: int


def register(subparsers: Subparsers) -> None:
    """Add the subcommand's parser.

    Args:
        subparsers: Of the parser of `otel-ext`.
    """
    from argparse import RawDescriptionHelpFormatter  # noqa: PLC0415 - argparse is the caller's

    parser = subparsers.add_parser(
        "validate",
        help="check files of records, line by line",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="file of records, folder with *.jsonl files, or - for the standard input",
    )
    parser.add_argument(
        "--max-errors",
        type=line_count,
        default=50,
        metavar="N",
        help="show at most N bad lines; all are counted (default: 50)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(args: argparse.Namespace) -> int:
    """Check the files of `args`, print what was found, and return the exit code.

    Args:
        args: With `files`, `max_errors` and `json`, as `register` defines them.

    Raises:
        UsageError: A file is missing, or is a device; nothing was read then.
    """
    sources = [source for name in args.files for source in _find(name)]
    report: Report = (JsonReport if args.json else TextReport)(args.max_errors)
    total = sum(source.size for source in sources)
    with progress_bar(total) as advance:
        for source in sources:
            _check_source(source, report, advance)
    report.finish()
    if report.problems:
        return 2
    return 1 if report.bad else 0


def _find(name: str) -> Iterator[_Source]:
    """Yield the files that `name` stands for."""
    if name == _STDIN:
        if cast("object", sys.stdin) is None:
            raise UsageError("the standard input is closed", hint="Name a file")
        yield _Source("<stdin>", None, 0)
        return
    shown = safe_text(name)
    try:
        info = Path(name).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{shown}: there is no such file or folder") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown}: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(info.st_mode):
        yield from _find_in_folder(Path(name), shown)
    elif stat.S_ISREG(info.st_mode) or stat.S_ISFIFO(info.st_mode):
        yield _Source(name, Path(name), info.st_size)
    else:
        hint = "For the standard input, give -"
        raise UsageError(f"{shown}: a device or socket, not a file of records", hint=hint)


def _find_in_folder(folder: Path, shown: str) -> Iterator[_Source]:
    try:
        found = sorted(path for path in folder.glob("*.jsonl") if path.is_file())
    except OSError as error:
        raise UsageError(f"{shown}: {error.strerror}") from None
    if not found:
        raise UsageError(f"{shown}: no *.jsonl file in this folder", hint="Name the files")
    for path in found:
        yield _Source(str(path), path, path.stat().st_size)


def _check_source(source: _Source, report: Report, advance: Callable[[int], None]) -> None:
    report.begin_file(source.name)
    done = 0

    def move_to(offset: int) -> None:
        nonlocal done
        advance(offset - done)
        done = offset

    try:
        if source.path is None:
            _check_stream(cast("BufferedReader", sys.stdin.buffer), report, move_to)
        else:
            with source.path.open("rb", buffering=_BUFFER_BYTES) as stream:
                _check_stream(cast("BufferedReader", stream), report, move_to)
            move_to(source.size)
    except OSError as error:
        report.problem(f"cannot be read: {error.strerror or error}")
    except UsageError as error:
        report.problem(str(error))


def _check_stream(
    stream: BufferedReader,
    report: Report,
    move_to: Callable[[int], None],
) -> None:
    """Report each line; a file of another sort gets one message instead of one a line."""
    first_bytes = stream.peek(16)[:16]
    doubtful: list[LineReport] = []
    certain = False
    for line in validate_stream(stream):
        if not certain:
            certain = line.is_ours
            doubtful.append(line)
            if not certain and len(doubtful) < _ENOUGH_LINES:
                continue
            _require(certain, first_bytes)
            for held in doubtful:
                report.line(held)
            continue
        report.line(line)
        if line.number % _LINES_A_STEP == 0:
            move_to(line.offset)
    if doubtful and not certain:
        _require(certain, first_bytes)


def _require(certain: bool, first_bytes: bytes) -> None:  # noqa: FBT001 - reads as a sentence
    if certain:
        return
    hints = (hint for magic, hint in _OTHER_FORMATS if first_bytes.startswith(magic))
    raise UsageError("not a file of records", hint=next(hints, _HINT))
