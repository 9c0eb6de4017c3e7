"""Writes the report: one HTML file with traces, which opens from disk without a network.

The page is built from `viewer/`; the data is in it as compressed base64, so that nothing in
the data can end its element.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.traces.load import load
from otel_ext.analysis.traces.times import times_of
from otel_ext.errors import OtelExtError
from otel_ext.formats.write.written import TraceToWrite
from otel_ext.readable import count_of
from otel_ext.runtime.whole_file import whole_file
from otel_ext.views.report_cut import cut
from otel_ext.views.report_data import LoggedTrace, report_document

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from otel_ext.analysis.traces.loaded import Loaded
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.record.merge import SpanKey

__all__ = ["MOST_SPANS", "ReportTraces", "report_page", "traces_of", "write_report"]

MOST_SPANS: Final = 100_000
"""How many spans a report has at most."""

_PLACE: Final = b"<!--DATA-->"
_NOWHERE: Final[Mapping[SpanKey, str]] = MappingProxyType({})


class ReportTraces(NamedTuple):
    """The traces of a report, with at most `MOST_SPANS` spans together.

    Attributes:
        traces: Those that are in it.
        where: As in `report_document`.
        skipped: How many traces are left out.
        left_out: How many spans are left out, of those traces and of others.
    """

    traces: Sequence[LoggedTrace]
    where: Mapping[SpanKey, str]
    skipped: int = 0
    left_out: int = 0

    @property
    def spans(self) -> int:
        """How many recorded spans are in it."""
        return sum(
            one.trace.tree.spans[number].state != "missing"
            for one in self.traces
            for number in (range(len(one.trace.tree.spans)) if one.kept is None else one.kept.kept)
        )

    @property
    def note(self) -> str:
        """What is left out; empty if nothing is."""
        if not self.left_out:
            return ""
        whole = f", with {count_of(self.skipped, 'whole trace')}" if self.skipped else ""
        return (
            f"left out: {count_of(self.left_out, 'span')} beyond {MOST_SPANS:,}{whole};"
            " the newest traces are kept, and of a large one the first levels"
        )


def report_page(found: ReportTraces) -> Iterator[bytes]:
    """Yield the pieces of the page.

    Args:
        found: The traces, at least one.

    Raises:
        OtelExtError: The page is not part of this installation.
    """
    try:
        page = files("otel_ext.views").joinpath("page/report.html").read_bytes()
    except OSError as error:
        raise OtelExtError(
            "the page of the report is missing", hint="Install otel-ext again."
        ) from error
    head, place, tail = page.partition(_PLACE)
    if not place:
        raise OtelExtError("the page of the report is damaged", hint="Install otel-ext again.")
    document = report_document(found.traces, where=found.where, note=found.note)
    yield head
    yield b64encode(gzip.compress(document, mtime=0))
    yield tail


def traces_of(
    trees: Iterable[TraceTree], loaded: Loaded, where: Mapping[SpanKey, str] = _NOWHERE
) -> ReportTraces:
    """Return the traces for a report, with at most `MOST_SPANS` spans together.

    Args:
        trees: The traces, the most important first.
        loaded: What they were read from, with logs.
        where: As in `report_document`.
    """
    traces: list[LoggedTrace] = []
    room, skipped, left_out = MOST_SPANS, 0, 0
    for tree in trees:
        if room <= 0:
            skipped += 1
            left_out += len(tree.spans) - len(tree.missing)
            continue
        kept = cut(tree, room)
        room -= len(kept.kept)
        left_out += kept.left_out
        note = "other processes use the same ids" if tree.process else ""
        records = loaded.records_of(tree.spans[one] for one in kept.kept)
        trace = TraceToWrite(tree, times_of(tree), records, loaded.processes)
        traces.append(LoggedTrace(trace, loaded.logs_of(tree.trace_id, tree.process), note, kept))
    return ReportTraces(traces, where, skipped, left_out)


def write_report(path: str | os.PathLike[str]) -> Path:
    """Write a report of the traces in a file of records beside it; return the report's path.

    For `BufferedLogger(path, report=write_report)`, also after a crash.

    Args:
        path: The file of records.

    Raises:
        OtelExtError: There is no trace in it.
        OSError: The report cannot be written.
    """
    source = Path(path)
    loaded = load([source], with_logs=True)
    trees = sorted(loaded.forest.trees(), key=lambda tree: tree.start_ns, reverse=True)
    if not trees:
        raise OtelExtError(f"{source} has no span", hint="Name a file of records.")
    target = source.with_suffix(".html")
    with whole_file(target) as file:
        file.writelines(report_page(traces_of(trees, loaded)))
    return target
