"""Collects what runs now, from ring buffers and journals alone: no process is asked."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from otel_ext.journal.files import parse_segment_name
from otel_ext.journal.liveness import ProcessIdentity, identity_from_id
from otel_ext.journal.read.incarnations import base_id, estimate_last_seen_ns, time_of
from otel_ext.journal.read.silence import silence_limit
from otel_ext.journal.recovery.replaced import replaced_incarnations
from otel_ext.observe.files import Files
from otel_ext.observe.liveness import Moment, condition_of, worker_silence
from otel_ext.observe.location import place_of
from otel_ext.observe.process_names import argv_of, command_name, service_of
from otel_ext.observe.processes import RunningProcess, is_elsewhere, living_argv
from otel_ext.observe.ring_buffers import signs_in
from otel_ext.record.model import EMPTY
from otel_ext.runtime.process.records import dropped_in, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from otel_ext.observe.liveness import Signs
    from otel_ext.observe.location import Place
    from otel_ext.observe.ring_buffers import RingView
    from otel_ext.observe.scan import FileReader
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["STATES", "Collector", "Running", "Snapshot", "State"]

State = Literal["running", "stalled", "blocked", "hung", "lost"]
STATES: Final[tuple[State, ...]] = ("running", "stalled", "blocked", "hung", "lost")


class Running(NamedTuple):
    """One span that has started and not ended.

    Attributes:
        record: Its start; where that is gone, its newest update.
        update: Its newest update; None if there is none.
        process: Who opened it.
        state: `stalled`: open for longer than its threshold; `blocked`: the disk of
            its process blocks; `hung`: its process does not run; `lost`: its process
            is gone.
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

    @property
    def start_ns(self) -> int:
        """When it started, nanoseconds since the epoch."""
        return self.record.started_ns


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
        self.places = places
        self._elsewhere = elsewhere
        self._files = Files()
        self._replaced: dict[Path, frozenset[str]] = {}

    @property
    def places(self) -> Iterable[Path]:
        """Where is looked; may be set to others."""
        return self._places

    @places.setter
    def places(self, places: Iterable[Path]) -> None:
        self._places = [place.absolute() for place in places]

    def collect(self) -> Snapshot:
        """Return what runs now."""
        now_ns = time_ns()
        self._replaced = {}
        processes: dict[tuple[Path, str], RunningProcess] = {}
        # By process too: several may have given the same ids to spans of their own.
        spans: dict[tuple[str, SpanKey], Running] = {}
        for reader, rings in self._files.read(self._places):
            for found in self._read(reader, rings, processes, now_ns):
                spans.setdefault((found.process.id, found.record.key), found)
        return Snapshot(
            now_ns,
            tuple(self._places),
            tuple(processes.values()),
            tuple(sorted(spans.values(), key=lambda span: span.start_ns)),
        )

    def _read(
        self,
        reader: FileReader,
        rings: list[RingView],
        processes: dict[tuple[Path, str], RunningProcess],
        now_ns: int,
    ) -> Iterator[Running]:
        folder = reader.path.parent
        if folder not in self._replaced:
            self._replaced[folder] = replaced_incarnations(folder)
        known: dict[str, RunningProcess | None] = {}
        for ring in rings:
            ring.introduce(reader)
        ids = [*(ring.id for ring in rings), *map(base_id, reader.process_ids())]
        for name in dict.fromkeys(ids):
            known[name] = self._process(name, reader, rings, now_ns)
        for record, update in _open_spans(reader, rings):
            name = base_id(record.process.id)
            if name not in known:
                known[name] = self._process(name, reader, rings, now_ns)
            process = known[name]
            if process is not None:
                yield _running(record, update, process, now_ns)
        reader.forget_decoded()
        for name, process in known.items():
            if process is not None:
                other = processes.get((folder, name))
                processes[folder, name] = process if other is None else process.with_journal(other)

    def _process(
        self, name: str, reader: FileReader, rings: list[RingView], now_ns: int
    ) -> RunningProcess | None:
        mine = [ring for ring in rings if ring.id == name]
        start = reader.process_record(name, "start")
        heartbeat = reader.process_record(name, "heartbeat")
        extra = EMPTY if start is None else start.extra
        identity = next((ring.identity for ring in mine if ring.identity), None) or _identity(
            name, extra
        )
        if not self._elsewhere and is_elsewhere(identity):
            return None
        now = Moment.now()
        # What a record says counts last: the clock may have been set back since.
        told_ns = [record.time_ns for record in (start, heartbeat) if record is not None]
        signs = signs_in(mine, now.wall_ns)._replace(
            seen_ns=_modified_ns(reader.path, name) or max(told_ns, default=0)
        )
        limit = silence_limit(whole_number(extra.get("heartbeat_ms")), has_ring=bool(mine))
        is_replaced = name in self._replaced[reader.path.parent]
        dropped = dropped_in(heartbeat.extra if heartbeat else EMPTY)
        condition = "dead" if is_replaced else condition_of(identity, signs, now, limit)
        return RunningProcess(
            id=name,
            pid=identity.pid,
            command=command_name(argv_of(extra) or living_argv(identity)),
            host=identity.host,
            folder=reader.path.parent,
            condition=condition,
            last_seen_ns=_last_seen_ns(reader, name, mine, signs, now_ns),
            last_seq=_last_seq(mine, heartbeat),
            rings=tuple(ring.path for ring in mine),
            heartbeat=heartbeat,
            worker_silent_ns=worker_silence(signs, now),
            service=service_of(extra),
            dropped=max([dropped, *(ring.dropped for ring in mine)]),
            is_full=condition != "alive" and any(ring.is_full for ring in mine),
        )


def _last_seen_ns(
    reader: FileReader, name: str, rings: list[RingView], signs: Signs, now_ns: int
) -> int:
    """Return the last sign of life of a process, by the rule of recovery where that can be."""
    texts = [ring.last_text for ring in rings]
    file_ns = _modified_ns(reader.path, name)
    if file_ns:
        texts.append(reader.last_text)
    record_ns = max(map(time_of, texts), default=0)
    if not record_ns:
        return min(signs.newest_ns, now_ns)
    return estimate_last_seen_ns(record_ns, signs.stamp_ns, file_ns, now_ns)


def _open_spans(
    reader: FileReader, rings: list[RingView]
) -> Iterator[tuple[Record, Record | None]]:
    """Yield start and newest update of each open span of a file and its ring buffers."""
    starts, updates = reader.open_lines()
    for ring in rings:
        ring.apply(starts, updates, reader)
    for key in dict.fromkeys((*starts, *updates)):
        update = updates.get(key)
        newest = None if update is None else reader.decode(key, update, is_update=True)
        start = starts.get(key)
        record = None if start is None else reader.decode(key, start)
        if record is None and newest and reader.process_record(newest.process.id, "start"):
            continue  # it ended while its update was made: where a file begins, starts are complete
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
    elif process.condition == "blocked":
        # Before `stalled`: what watches the spans waits for the disk, too.
        state = "blocked"
    elif update is not None and update.extra.get("stalled") is True:
        state = "stalled"
    until_ns = process.last_seen_ns if state == "lost" else now_ns
    newest_ns = record.time_ns if update is None else update.time_ns
    age_ns = max(until_ns, min(newest_ns, now_ns)) - record.started_ns
    return Running(record, update, process, state, max(age_ns, 0), place_of(record, update))


def _identity(name: str, extra: Mapping[str, object]) -> ProcessIdentity:
    """Return who a process is by its start record, else by its id alone."""
    by_id = identity_from_id(name) or ProcessIdentity(0)
    pid, start_time = extra.get("pid"), extra.get("start_time")
    if type(pid) is not int or type(start_time) is not int:
        return by_id
    boot_id, host = str(extra.get("boot_id") or ""), str(extra.get("host") or "")
    namespace = extra.get("pid_namespace")
    return ProcessIdentity(
        pid,
        start_time,
        boot_id or by_id.boot_id,
        host,
        namespace if type(namespace) is int else 0,
    )


def _last_seq(rings: list[RingView], heartbeat: Record | None) -> int:
    said = None if heartbeat is None else heartbeat.extra.get("last_seq")
    return max([said if type(said) is int else 0, *(ring.last_seq for ring in rings)])


def _modified_ns(path: Path, name: str) -> int:
    """Return when the file was last written to, if only this process writes to it."""
    parts = parse_segment_name(path.name)
    if parts is None or parts.incarnation != name:
        return 0
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
