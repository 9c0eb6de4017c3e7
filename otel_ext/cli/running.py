"""Collects what runs now, from boxes and journals alone: no process is asked.

Only the newest file of each incarnation is read, and a file whose last line says
that its process ended is not read at all.
"""

from __future__ import annotations

import os
from time import time_ns
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from otel_ext.cli.running_box import BoxView, read_boxes
from otel_ext.cli.running_place import place_of
from otel_ext.cli.running_process import (
    RunningProcess,
    argv_of,
    command_name,
    condition_of,
    is_elsewhere,
    living_argv,
)
from otel_ext.cli.running_scan import FileReader
from otel_ext.journal.files import list_segments, parse_segment_name
from otel_ext.journal.folder import base_id
from otel_ext.journal.liveness import ProcessIdentity, identity_from_id
from otel_ext.record.model import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from otel_ext.cli.running_place import Place
    from otel_ext.cli.running_scan import Key
    from otel_ext.record.model import Record

__all__ = ["STATES", "Collector", "Running", "Snapshot", "State"]

State = Literal["running", "stalled", "hung", "lost"]
STATES: Final[tuple[State, ...]] = ("running", "stalled", "hung", "lost")

_TAIL_BYTES: Final = 16 * 1024


class Running(NamedTuple):
    """One span that has started and not ended.

    Attributes:
        record: Its start; where that is gone, its newest update.
        update: Its newest update; None if there is none.
        process: Who opened it.
        state: `stalled`: open for longer than its threshold; `hung`: its process
            does not run; `lost`: its process is gone.
        age_ns: For how long it has been open, nanoseconds. Of a lost one: until
            the last sign of life.
        place: Where it is.
    """

    record: Record
    update: Record | None
    process: RunningProcess
    state: State
    age_ns: int
    place: Place


class Snapshot(NamedTuple):
    """Everything at one moment.

    Attributes:
        time_ns: When, nanoseconds since the epoch.
        folders: Where was looked.
        processes: Those whose records are there and not closed.
        spans: The open spans, oldest first.
    """

    time_ns: int
    folders: tuple[Path, ...]
    processes: tuple[RunningProcess, ...]
    spans: tuple[Running, ...]


class Collector:
    """Collects from some places, again and again; only what is new is read then.

    Args:
        places: Folders of records, or single files of them.
        elsewhere: Whether processes of other machines count too.
    """

    def __init__(self, places: Iterable[Path], *, elsewhere: bool = False) -> None:
        self.places = list(places)
        self._elsewhere = elsewhere
        self._readers: dict[Path, FileReader] = {}
        self._closed: dict[Path, int] = {}

    def collect(self) -> Snapshot:
        """Return what runs now."""
        now_ns = time_ns()
        processes: dict[tuple[Path, str], RunningProcess] = {}
        spans: dict[tuple[str, str], Running] = {}
        used: set[Path] = set()
        for place in self.places:
            for reader, boxes in self._sources(place):
                used.add(reader.path)
                for found in self._read(reader, boxes, processes, now_ns):
                    spans.setdefault(found.record.key, found)
        self._readers = {path: reader for path, reader in self._readers.items() if path in used}
        return Snapshot(
            now_ns,
            tuple(self.places),
            tuple(processes.values()),
            tuple(sorted(spans.values(), key=lambda span: span.record.time_ns)),
        )

    def _sources(self, place: Path) -> Iterator[tuple[FileReader, list[BoxView]]]:
        """Yield each file that has to be read, with the boxes that drain to it."""
        is_file = place.is_file()
        folder = place.parent if is_file else place
        # Before the boxes: what is in a file beyond this size may be in a box, too.
        marks = {path: _size(path) for path in list_segments(folder)}
        newest = {} if is_file else _newest(marks)
        by_file: dict[Path, list[BoxView]] = {}
        for box in read_boxes(folder):
            path = folder / box.target if box.target else newest.get(box.id)
            path = path or folder / f"{box.id}.jsonl"
            if not is_file or path == place:
                by_file.setdefault(path, []).append(box)
        if is_file:
            by_file.setdefault(place, [])
        for path in newest.values():
            if path not in by_file and not self._is_closed(path):
                by_file[path] = []
        for path, boxes in by_file.items():
            reader = self._readers.setdefault(path, FileReader(path))
            reader.read(marks.get(path, 0))
            yield reader, boxes

    def _is_closed(self, path: Path) -> bool:
        """Whether the file's last line is the end of its process; looked at once a size."""
        size = _size(path)
        if self._closed.get(path) == size:
            return True
        if _ends_closed(path):
            self._closed[path] = size
            return True
        return False

    def _read(
        self,
        reader: FileReader,
        boxes: list[BoxView],
        processes: dict[tuple[Path, str], RunningProcess],
        now_ns: int,
    ) -> Iterator[Running]:
        folder = reader.path.parent
        known: dict[str, RunningProcess | None] = {}
        for box in boxes:
            box.introduce(reader)
        ids = [*(box.id for box in boxes), *map(base_id, reader.processes)]
        for name in dict.fromkeys(ids):
            known[name] = self._process(name, reader, boxes, now_ns)
        for record, update in _open_spans(reader, boxes):
            name = base_id(record.process.id)
            if name not in known:
                known[name] = self._process(name, reader, boxes, now_ns)
            process = known[name]
            if process is not None:
                yield _running(record, update, process, now_ns)
        reader.forget_decoded()
        for name, process in known.items():
            if process is not None:
                processes[folder, name] = process

    def _process(
        self, name: str, reader: FileReader, boxes: list[BoxView], now_ns: int
    ) -> RunningProcess | None:
        mine = [box for box in boxes if box.id == name]
        start = reader.process_record(name, "start")
        heartbeat = reader.process_record(name, "heartbeat")
        extra = EMPTY if start is None else start.extra
        identity = next((box.identity for box in mine if box.identity), None) or _identity(
            name, extra
        )
        if not self._elsewhere and is_elsewhere(identity):
            return None
        stamp_ns = max((box.stamp_ns for box in mine), default=0)
        seen_ns = max(
            (record.time_ns for record in (start, heartbeat) if record is not None), default=0
        )
        seen_ns = min(max(seen_ns, stamp_ns, _modified_ns(reader.path, name)), now_ns)
        return RunningProcess(
            id=name,
            pid=identity.pid,
            command=command_name(argv_of(extra) or living_argv(identity)),
            host=identity.host,
            folder=reader.path.parent,
            condition=condition_of(
                identity, stamp_ns=stamp_ns, last_seen_ns=seen_ns, now_ns=now_ns
            ),
            last_seen_ns=seen_ns,
            last_seq=_last_seq(mine, heartbeat),
            boxes=tuple(box.path for box in mine),
            heartbeat=heartbeat,
        )


def _open_spans(reader: FileReader, boxes: list[BoxView]) -> Iterator[tuple[Record, Record | None]]:
    """Yield start and newest update of each open span of a file and its boxes."""
    starts: Mapping[Key, bytes] = reader.starts
    updates: Mapping[Key, bytes] = reader.updates
    if boxes:
        merged_starts, merged_updates = dict(starts), dict(updates)
        for box in boxes:
            box.apply(merged_starts, merged_updates, reader)
        starts, updates = merged_starts, merged_updates
    for key in dict.fromkeys((*starts, *updates)):
        update = updates.get(key)
        newest = None if update is None else reader.decode(key, update, is_update=True)
        start = starts.get(key)
        record = None if start is None else reader.decode(key, start)
        record = record or newest
        if record is not None:
            yield record, newest


def _running(
    record: Record, update: Record | None, process: RunningProcess, now_ns: int
) -> Running:
    state: State = "running"
    if process.condition in {"dead", "silent"}:
        state = "lost"
    elif process.condition in {"hung", "stopped"}:
        state = "hung"
    elif update is not None and update.extra.get("stalled") is True:
        state = "stalled"
    until_ns = process.last_seen_ns if state == "lost" else now_ns
    newest_ns = record.time_ns if update is None else update.time_ns
    age_ns = max(until_ns, min(newest_ns, now_ns)) - record.time_ns
    return Running(record, update, process, state, max(age_ns, 0), place_of(record, update))


def _identity(name: str, extra: Mapping[str, object]) -> ProcessIdentity:
    """Return who a process is by its start record, else by its id alone."""
    by_id = identity_from_id(name) or ProcessIdentity(0)
    pid, start_time = extra.get("pid"), extra.get("start_time")
    if type(pid) is not int or type(start_time) is not int:
        return by_id
    boot_id, host = str(extra.get("boot_id") or ""), str(extra.get("host") or "")
    return ProcessIdentity(pid, start_time, boot_id or by_id.boot_id, host)


def _last_seq(boxes: list[BoxView], heartbeat: Record | None) -> int:
    said = None if heartbeat is None else heartbeat.extra.get("last_seq")
    return max([said if type(said) is int else 0, *(box.last_seq for box in boxes)])


def _newest(segments: Iterable[Path]) -> dict[str, Path]:
    """Return the newest of each incarnation's segments, given in their order."""
    newest: dict[str, Path] = {}
    for path in segments:
        name = parse_segment_name(path.name)
        if name is not None:
            newest[name.incarnation] = path
    return newest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _modified_ns(path: Path, name: str) -> int:
    """Return when the file was last written to, if only this process writes to it."""
    parts = parse_segment_name(path.name)
    if parts is None or parts.incarnation != name:
        return 0
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _ends_closed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except OSError:
        return True  # not ours to read, or gone
    last = tail.rstrip(b"\n").rpartition(b"\n")[2]
    return tail.endswith(b"\n") and b'"event":"process.end"' in last
