"""`otel-ext export`: writes traces in the formats of other tools.

Exit code 0 if a trace is written, 1 if there is none, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.traces.times import times_of
from otel_ext.cli.traces.choice import choose_traces, outcome
from otel_ext.cli.traces.options import add_clocks, add_traces
from otel_ext.cli.written_file import is_stdout, write_whole
from otel_ext.formats.write.chrome import to_chrome
from otel_ext.formats.write.csv_table import to_csv
from otel_ext.formats.write.otlp_json import to_otlp_json
from otel_ext.formats.write.speedscope import to_speedscope
from otel_ext.formats.write.written import RecordsWhenRead, TraceToWrite
from otel_ext.readable import count_of, size
from otel_ext.terminal.output import warn
from otel_ext.terminal.text import printable_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from otel_ext.cli.traces.reader import ChosenTraces

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Write traces in the format of another tool:

  chrome      Chrome's trace format, for https://ui.perfetto.dev
  speedscope  for https://www.speedscope.app
  otlp        OTLP/JSON, a request in each line, for a Collector
  csv         a table, a row for each span, safe to open in a spreadsheet

examples:
  otel-ext export chrome traces -o trace.json
  otel-ext export csv --errors --last 0 > spans.csv   of traces with an error

exit code: 0 if a trace is written, 1 if there is none, 2 for wrong use or a
wrong folder
"""
_FORMATS: Final = ("chrome", "speedscope", "otlp", "csv")


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument("format", choices=_FORMATS, help="the format to write")
    add_traces(parser, whole=True)
    add_clocks(parser)
    parser.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="FILE",
        help="the file to write (default: -, the standard output)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the traces of the files in `args`, and return the exit code."""
    found = choose_traces(args, output=args.output)
    if found.traces:
        _write(args, found)
    return outcome(found, "written")


def _write(args: argparse.Namespace, found: ChosenTraces) -> None:
    pieces = _pieces(args.format, _Traces(found))
    written = write_whole(args.output, pieces)
    if is_stdout(args.output):
        return
    traces = count_of(len(found.traces), "trace")
    warn(f"{printable_path(args.output)}: {traces}, {size(written)}")


class _Traces(Collection[TraceToWrite]):
    """The traces, each made when it is reached: only the records of one are held at a time."""

    def __init__(self, found: ChosenTraces) -> None:
        self._found = found

    def __len__(self) -> int:
        return len(self._found.traces)

    def __contains__(self, one: object) -> bool:
        return any(trace == one for trace in self)

    def __iter__(self) -> Iterator[TraceToWrite]:
        loaded = self._found.loaded
        for one in self._found.traces:
            times = times_of(one.tree)
            records = RecordsWhenRead(partial(loaded.records_of, one.tree.spans))
            yield TraceToWrite(one.tree, times, records, loaded.processes)


def _pieces(name: str, traces: Collection[TraceToWrite]) -> Iterable[bytes]:
    if name == "chrome":
        return to_chrome(traces)
    if name == "speedscope":
        return [to_speedscope(traces, "otel-ext")]
    return to_csv(traces) if name == "csv" else to_otlp_json(traces)
