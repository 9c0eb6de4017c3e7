"""`otel-ext convert`: writes what other tools have written as records.

Exit code 0 if all is converted, 1 if a part is not or there is no span or log, 2 for wrong use.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from otel_ext.cli.inputs import STDIN, checked_inputs
from otel_ext.cli.written_file import write_whole
from otel_ext.errors import UsageError
from otel_ext.formats.read.convert import A_RECORD, FORMATS, Problem, convert
from otel_ext.readable import count_of
from otel_ext.record.codec import encode_line
from otel_ext.terminal.output import warn
from otel_ext.terminal.text import printable, printable_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = f"""\
Convert files of other tools to records, which every command reads:
{FORMATS}.
The format of each document is recognised.

examples:
  otel-ext convert collector.json -o traces/collector.jsonl
  otel-ext convert jaeger.json old.jsonl -o all.jsonl
  python app.py | otel-ext convert - > spans.jsonl

exit code: 0 if all is converted, 1 if a part is not or there is no span or log,
2 for wrong use
"""
_MOST_PROBLEMS: Final = 10


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "inputs", nargs="+", metavar="FILE", help="a file, or - for the standard input"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the file to write (default: the standard output)"
    )
    parser.set_defaults(input_kind="streams", prog=parser.prog, all=True)


def run(args: argparse.Namespace) -> int:
    """Convert the inputs, and return the exit code."""
    inputs = checked_inputs(args.inputs, args)
    if STDIN in inputs and cast("object", sys.stdin) is None:
        raise UsageError("the standard input is closed", hint="Name a file instead of -.")
    _refuse_input(args.output, inputs)
    converter = _Converter(inputs)
    lines = converter.lines()
    first = next(lines, None)
    if first is not None:
        _write(args.output, chain([first], lines))
    counts = count_of(converter.records, "record")
    if converter.problems:
        warn(f"{counts} written; {count_of(converter.problems, 'part')} left out")
    elif first is None:
        warn("there is no span or log in the input")
    elif args.output is not None:
        warn(f"{counts} written to {printable_path(args.output)}")
    return int(converter.problems > 0 or first is None)


def _write(output: str | None, lines: Iterable[bytes]) -> None:
    if output is not None:
        write_whole(output, lines)
        return
    out = cast("IO[bytes]", sys.stdout.buffer)
    out.writelines(lines)
    out.flush()


def _refuse_input(output: str | None, inputs: list[Path]) -> None:
    """Raise an error if the file to write is one of those to read.

    Raises:
        UsageError: It is, also by another name.
    """
    written = None if output is None else _file_at(Path(output))
    for path in inputs:
        if output is not None and written is not None and written == _file_at(path):
            raise UsageError(
                f"{printable_path(output)} is an input, which would be lost",
                hint="Name another file with --output.",
            )


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return which file a path or the standard input is; None if it cannot be had."""
    try:
        found = os.fstat(sys.stdin.fileno()) if path == STDIN else path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


class _Converter:
    """Converts inputs, and counts.

    Attributes:
        records: How many records were made.
        problems: How many parts were left out.
    """

    def __init__(self, inputs: list[Path]) -> None:
        self._inputs = inputs
        self._with_records: set[Path] = set()
        self._warnings = 0
        self.records = 0
        self.problems = 0

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of records; warn of what is not converted."""
        for path in self._inputs:
            with ExitStack() as stack:
                file = sys.stdin.buffer if path == STDIN else stack.enter_context(path.open("rb"))
                for item in convert(file):
                    if isinstance(item, Problem):
                        self._warn(path, item)
                    else:
                        self.records += 1
                        yield encode_line(item)

    def _warn(self, path: Path, problem: Problem) -> None:
        self.problems += 1
        if problem.reason.startswith(A_RECORD):
            if path in self._with_records:
                return  # so are most of its lines
            self._with_records.add(path)
        self._warnings += 1
        if self._warnings <= _MOST_PROBLEMS:
            warn(f"{printable_path(path)}:{problem.line}: {printable(problem.reason, 300)}")
