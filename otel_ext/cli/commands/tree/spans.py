"""Reads the spans in files of records, one merged record per span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.journal.files import list_segments
from otel_ext.journal.read.open_spans import decode
from otel_ext.journal.read.rings import read_rings
from otel_ext.journal.read.scanner import Located, read_records
from otel_ext.observe.process_names import ProcessName
from otel_ext.record.merge import Merger
from otel_ext.record.repeated_ids import RepeatedIds
from otel_ext.runtime.process.records import PROCESS_START

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_ext.record.model import Record

__all__ = ["SpanSet", "read_spans"]


class SpanSet:
    """Merges records into one per span.

    If several processes use the same ids for their own spans, as with a seeded `random`,
    the spans are kept apart by process.

    Attributes:
        skipped: How many stretches of the files were not valid records.
        processes: The name of each process, by its id.
        repeated: Trace ids that several processes use for their own traces.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.processes: dict[str, ProcessName] = {}
        self.repeated: set[str] = set()
        self._mergers: dict[str, Merger] = {}
        self._ids = RepeatedIds()

    def add(self, record: Record) -> None:
        """Add one record of any kind."""
        name = record.process.id
        if record.kind == "process":
            if record.name == PROCESS_START and name not in self.processes:
                self.processes[name] = ProcessName.from_start(record.extra)
            return
        if record.kind != "span":
            return
        if record.phase == "start" and self._ids.note_start(record.key, name):
            self.repeated.add(record.trace_id)
        merger = self._mergers.get(name)
        if merger is None:
            merger = self._mergers[name] = Merger()
        merger.add(record)

    def __len__(self) -> int:
        return sum(len(spans) for spans in self.traces().values())

    def traces(self) -> dict[tuple[str, str], list[Record]]:
        """Return the spans of each trace by its id, and by process if the id repeats."""
        whole = Merger()
        found: dict[tuple[str, str], list[Record]] = {}
        for name, merger in self._mergers.items():
            for record in merger.spans.values():
                if record.trace_id in self.repeated:
                    found.setdefault((record.trace_id, name), []).append(record)
                else:
                    whole.add(record)
        for record in whole.spans.values():
            found.setdefault((record.trace_id, ""), []).append(record)
        return found


def read_spans(paths: Iterable[Path]) -> SpanSet:
    """Read the spans of some folders and single files, and of their ring buffers."""
    found = SpanSet()
    for input_path in paths:
        is_file = input_path.is_file()
        for path in [input_path] if is_file else list_segments(input_path):
            for item in read_records(path):
                if isinstance(item, Located):
                    found.add(item.record)
                else:
                    found.skipped += 1
        # After the files: a line that was not in a file yet is still in the ring buffer.
        for ring in read_rings(input_path.absolute().parent if is_file else input_path):
            if is_file and ring.file_name != input_path.name:
                continue
            for line in ring.lines:
                record = decode(line.data)
                if record is None:
                    found.skipped += 1
                else:
                    found.add(record)
    return found
