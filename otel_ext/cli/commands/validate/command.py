"""`otel-ext validate`: checks whether the records in files are well formed.

Exit code 0 if all are, 1 if one is not or there are none, 2 if something cannot be read
or does not contain records. It reads one line at a time, however large the file is.
"""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.cli.arguments import whole_number
from otel_ext.cli.commands.validate.report import Report, print_result
from otel_ext.cli.input_checks import not_records, unreadable
from otel_ext.cli.inputs import STDIN, add_inputs, inputs_of, no_records_message
from otel_ext.errors import UsageError
from otel_ext.journal.names import list_segments
from otel_ext.record.schema.validation import LineReport, validate_stream
from otel_ext.terminal.output import warn
from otel_ext.terminal.progress import progress_bar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from io import BufferedReader
    from pathlib import Path

__all__ = ["run", "set_up"]

_BUFFER_BYTES: Final = 1 << 20
_ENOUGH_LINES: Final = 10
# The progress bar is updated so rarely that it costs nothing.
_LINES_A_STEP: Final = 4_096
_DESCRIPTION: Final = """\
Checks files of records line by line against version 2 of the record format and
prints what is wrong and where, then a table of the records.

examples:
  otel-ext validate                        the folder in the setting output
  otel-ext validate traces                 all *.jsonl in a folder
  otel-ext validate old.jsonl new.jsonl    these files
  otel-ext validate --all                  wherever running programs record
  gzip -dc old.jsonl.gz | otel-ext validate -

exit code: 0 if all records are well formed, 1 if one is not or there are none,
2 for wrong use, a wrong folder or a file that cannot be read
"""


class _Source(NamedTuple):
    """One file to read; `path` is None for the standard input."""

    name: str
    path: Path | None
    size: int


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_inputs(parser, "streams")
    parser.add_argument(
        "--max-errors",
        type=whole_number,
        default=50,
        metavar="N",
        help="show at most N bad lines; all are counted (default: 50)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check the files of `args`, print the result, and return the exit code."""
    sources: list[_Source] = []
    for input_path in inputs_of(args):
        found = _sources_of(input_path)
        sources += found
        if not found:
            warn(no_records_message([input_path], args) or f"no *.jsonl file in {input_path}")
    report = Report(args.max_errors, as_json=args.json)
    total = sum(source.size for source in sources)
    with progress_bar(total) as advance:
        for source in sources:
            _check_source(source, report, advance)
    print_result(report)
    if report.problems:
        return 2
    return 1 if report.bad or not sources else 0


def _sources_of(input_path: Path) -> list[_Source]:
    """Return the files to read for one input."""
    if input_path == STDIN:
        if cast("object", sys.stdin) is None:
            raise UsageError("the standard input is closed", hint="Name a file")
        return [_Source("<stdin>", None, 0)]
    files = list_segments(input_path) if input_path.is_dir() else [input_path]
    return [
        _Source(str(path), path, path.stat().st_size)
        for path in files
        if path == input_path or path.is_file()
    ]


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
        report.problem(". ".join(unreadable(error)))
    except UsageError as error:
        report.problem(str(error))


def _check_stream(stream: BufferedReader, report: Report, move_to: Callable[[int], None]) -> None:
    """Report each line; a file without records gets one message instead of one per line."""
    first_bytes = stream.peek(16)[:16]
    lines = validate_stream(stream)
    beginning: list[LineReport] = []
    for line in lines:
        beginning.append(line)
        if line.may_be_record or len(beginning) == _ENOUGH_LINES:
            break
    if beginning and not beginning[-1].may_be_record:
        what, hint = not_records(first_bytes)
        raise UsageError(what, hint=hint)
    for line in chain(beginning, lines):
        report.line(line)
        if line.number % _LINES_A_STEP == 0:
            move_to(line.offset)
