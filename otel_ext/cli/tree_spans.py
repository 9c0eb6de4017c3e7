"""The spans in files of records, each by the record that tells most of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.cli.running_process import argv_of, command_name
from otel_ext.errors import RecordError
from otel_ext.journal.files import list_segments
from otel_ext.journal.layout import BOX_FOLDER, BOX_SUFFIX
from otel_ext.journal.reader import Located, read_box, read_records
from otel_ext.record.decode import decode_line
from otel_ext.record.merge import Merger
from otel_ext.record.repeated import RepeatedIds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_ext.record.model import Record

__all__ = ["ProcessFacts", "SpanSet", "read_spans"]

_NO_SERVICE: Final = "unknown_service"


class ProcessFacts(NamedTuple):
    """What a process has said of itself.

    Attributes:
        pid: Its process id; 0 if unknown.
        service: The name of its service; empty if it has none.
        command: What it runs, short.
    """

    pid: int = 0
    service: str = ""
    command: str = ""

    @property
    def label(self) -> str:
        """Its service or command, and its pid."""
        return f"{self.service or self.command} {self.pid or ''}".strip()


class SpanSet:
    """Takes records and keeps one for each span.

    Ids that several processes have given to spans of their own, as with a seeded
    `random`, are kept apart by process.

    Attributes:
        skipped: How many stretches of the files were no records.
        processes: What each process has said of itself, by its id.
        repeated: Trace ids that several processes have given to traces of their own.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.processes: dict[str, ProcessFacts] = {}
        self.repeated: set[str] = set()
        self._mergers: dict[str, Merger] = {}
        self._ids = RepeatedIds()

    def add(self, record: Record) -> None:
        """Take one record of any kind."""
        name = record.process.id
        if record.kind == "process":
            if record.name == "process.start" and name not in self.processes:
                self.processes[name] = _facts(record)
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
        """Return the spans of each trace by its id, and by its process where ids repeat."""
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


def read_spans(places: Iterable[Path]) -> SpanSet:
    """Return the spans of some files.

    Args:
        places: Folders of records, whose black boxes count too, or single files.
    """
    found = SpanSet()
    for place in places:
        for path in [place] if place.is_file() else list_segments(place):
            for item in read_records(path):
                if isinstance(item, Located):
                    found.add(item.record)
                else:
                    found.skipped += 1
        # After the files: what is not in a file yet is in the box.
        for path in sorted((place / BOX_FOLDER).glob(f"*{BOX_SUFFIX}")):
            for line in read_box(path).lines:
                try:
                    found.add(decode_line(line.data))
                except RecordError:
                    found.skipped += 1
    return found


def _facts(record: Record) -> ProcessFacts:
    extra = record.extra
    pid, resource = extra.get("pid"), extra.get("resource")
    known = cast("dict[str, object]", resource) if isinstance(resource, dict) else {}
    named = str(known.get("service.name") or "")
    service = "" if named.startswith(_NO_SERVICE) else named
    return ProcessFacts(pid if type(pid) is int else 0, service, command_name(argv_of(extra)))
