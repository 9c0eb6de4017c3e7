"""Reads the traces that a command shows, and chooses among them by its options."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.traces.times import times_of
from otel_ext.cli.inputs import inputs_of
from otel_ext.cli.traces.reader import TraceReader, files_in, size_of_files
from otel_ext.cli.written_file import require_output_beside
from otel_ext.journal.read.newest import start_of_newest
from otel_ext.record.timestamps import time_of
from otel_ext.settings.units import MIB
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import warn
from otel_ext.terminal.text import printable
from otel_ext.views.rows import Row, rows_of
from otel_ext.views.trace_view import TraceView

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from otel_ext.analysis.traces.loaded import Loaded
    from otel_ext.cli.traces.reader import Chosen, ChosenTraces
    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.record.merge import SpanKey

__all__ = [
    "choose_traces",
    "outcome",
    "rows_to_show",
    "warn_of_damage",
]

# Bytes of records above which the newest traces are looked for first.
_LARGE: Final = 32 * MIB
# By how much more traces are read, if a search has found too few.
_MORE: Final = 16


def choose_traces(
    args: argparse.Namespace, *, with_logs: bool = False, output: str | None = None
) -> ChosenTraces:
    """Read the inputs of a command and return the traces that its options choose.

    Warns of damage, and of processes whose spans may have ended without a record. In large
    folders it reads only as much as the newest traces need.

    Args:
        args: The command's arguments.
        with_logs: Whether the logs of traces are needed too.
        output: The file to write, which must not be an input; None for none.

    Raises:
        UsageError: An option is wrong, or an input.
    """
    inputs = inputs_of(args)
    if output is not None:
        require_output_beside(output, inputs)
    since_ns = args.since or 0
    wanted = 0 if args.trace else args.last
    while True:
        from_ns = max(since_ns, _newest_ns(inputs, wanted))
        reader = TraceReader(args, inputs, since_ns=from_ns, with_logs=with_logs)
        found = reader.read()
        if from_ns:
            found = reader.read_beginnings(found)
        if len(found.traces) == args.last or from_ns == since_ns:
            break
        wanted *= _MORE  # the search has not found enough among the newest
    if from_ns > since_ns:
        found = found._replace(earlier=None)
    warn_of_damage(found.loaded)
    _warn_of_missing_ends(found.traces, found.running)
    return found


def warn_of_damage(loaded: Loaded, where: str = "") -> None:
    """Warn of what was skipped as it could not be read.

    Args:
        loaded: What was read.
        where: The file or folder, if there are several results.
    """
    # A file without any record is not damaged, but of another kind.
    if loaded.skipped and (len(loaded.forest) or loaded.processes):
        was = "stretch was" if loaded.skipped == 1 else "stretches were"
        where = f"{where}: " if where else ""
        warn(f"{where}{loaded.skipped:,} damaged {was} skipped; otel-ext validate lists them")


def _newest_ns(inputs: Iterable[Path], number: int) -> int:
    """Return when the newest traces begin; 0 if all records are read anyway."""
    if not number or size_of_files(inputs) < _LARGE:
        return 0
    files = [file for path in inputs for file in files_in(path)]
    start = start_of_newest(files, number)
    return time_of(start) if start else 0


def rows_to_show(
    chosen: Chosen, found: ChosenTraces, args: argparse.Namespace, *, fold: bool = True
) -> tuple[TraceView, list[Row]]:
    """Return what is known of a trace, and the rows to show of it."""
    tree = chosen.tree
    canvas = Canvas.of(sys.stdout, color=args.color)
    rows = rows_of(tree, canvas, matches=chosen.matches, fold=fold and not args.no_fold)
    rows = [row for row in rows if not args.depth or row.depth < args.depth]
    loaded = found.loaded
    records = loaded.records_of(tree.spans[row.number] for row in rows)
    times = times_of(tree)
    view = TraceView(tree, times, canvas, records, found.running, loaded.processes, chosen.matches)
    return view, rows


def outcome(found: ChosenTraces, done: str = "shown", *, is_json: bool = False) -> int:
    """Warn if there is no trace, or of those that the option `--last` leaves out.

    Args:
        found: The traces.
        done: What the command does with a trace, as a participle.
        is_json: Whether the output is for a program.

    Returns:
        The exit code: 0 if there is a trace, else 1.
    """
    if found.nothing:
        warn(found.nothing)
        return 1
    if found.earlier != 0 and not is_json:
        number = "" if found.earlier is None else f": {found.earlier:,}"
        warn(f"earlier traces not {done}{number}; --last 0 takes all")
    return 0


def _warn_of_missing_ends(
    traces: Sequence[Chosen], running: Mapping[SpanKey, ObservedSpan]
) -> None:
    shown = {one.tree.trace_id for one in traces}
    processes = [one.process for key, one in running.items() if key[0] in shown]
    reasons = {one.label: one.missing_ends_reason for one in processes if one.missing_ends_reason}
    for label, reason in reasons.items():
        warn(f"process {printable(label)}: {reason}")
