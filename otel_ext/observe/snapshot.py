"""Reads what runs now from ring buffers and journals; no process takes part."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.journal.names import parse_segment_name
from otel_ext.journal.read.facts import IncarnationFacts, estimate_last_seen_ns
from otel_ext.journal.read.incarnations import base_id, modified_ns
from otel_ext.journal.read.replaced_programs import replaced_incarnations
from otel_ext.observe.entities import observe_entities
from otel_ext.observe.files import JournalFiles
from otel_ext.observe.liveness import (
    ClockReading,
    LivenessEvidence,
    condition_of,
    worker_silent_ns_at,
)
from otel_ext.observe.process_names import command_name, service_of
from otel_ext.observe.processes import RunningProcess, is_on_another_host, living_argv
from otel_ext.observe.spans import observed_span
from otel_ext.record.timestamps import time_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from otel_ext.journal.read.file_reader import FileReader
    from otel_ext.journal.read.rings import RingContents
    from otel_ext.observe.entities import ObservedEntity
    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["Snapshot", "SnapshotReader"]


class Snapshot(NamedTuple):
    """The processes and open spans at one time.

    Attributes:
        time_ns: When, nanoseconds since the epoch.
        folders: The paths that were read.
        processes: The processes with records, except those that recorded their end.
        spans: The open spans, oldest first.
        entities: What the processes have registered and recorded by events, oldest first.
    """

    time_ns: int
    folders: tuple[Path, ...]
    processes: tuple[RunningProcess, ...]
    spans: tuple[ObservedSpan, ...]
    entities: tuple[ObservedEntity, ...] = ()


class SnapshotReader:
    """Reads snapshots of some paths; each call reads only what is new.

    Args:
        paths: Folders of records, or single files; the attribute may be replaced.
        other_hosts: Whether to include processes of other machines.
    """

    def __init__(self, paths: Iterable[Path], *, other_hosts: bool = False) -> None:
        self.paths = list(paths)
        self._other_hosts = other_hosts
        self._files = JournalFiles()
        self._replaced: dict[Path, frozenset[str]] = {}

    def read(self) -> Snapshot:
        """Return what runs now."""
        now_ns, folders = time_ns(), tuple(path.absolute() for path in self.paths)
        self._replaced = {}
        processes: dict[tuple[Path, str], RunningProcess] = {}
        # By process too: several processes may use the same ids for their spans.
        spans: dict[tuple[str, SpanKey], ObservedSpan] = {}
        entities: list[tuple[Record, RunningProcess]] = []
        for reader, rings in self._files.read(folders):
            for found in self._read_file(reader, rings, processes, now_ns):
                spans.setdefault((found.process.id, found.record.key), found)
            entities += _entities_in(reader, rings, processes)
            reader.forget_decoded()
        oldest_first = tuple(sorted(spans.values(), key=lambda span: span.start_ns))
        return Snapshot(
            now_ns,
            folders,
            tuple(processes.values()),
            oldest_first,
            observe_entities(entities, oldest_first, now_ns),
        )

    def _read_file(
        self,
        reader: FileReader,
        rings: list[RingContents],
        processes: dict[tuple[Path, str], RunningProcess],
        now_ns: int,
    ) -> Iterator[ObservedSpan]:
        folder = reader.path.parent
        if folder not in self._replaced:
            self._replaced[folder] = replaced_incarnations(folder)
        known: dict[str, RunningProcess | None] = {}
        spans = reader.open_spans(rings)
        ids = [*(ring.id for ring in rings), *map(base_id, reader.process_ids())]
        for name in dict.fromkeys(ids):
            known[name] = self._process(name, reader, rings, now_ns)
        running = spans.running(
            lambda update: reader.process_record(update.process.id, "start") is not None,
            reader.decode,
        )
        for record, update in running:
            name = base_id(record.process.id)
            if name not in known:
                known[name] = self._process(name, reader, rings, now_ns)
            process = known[name]
            if process is not None:
                yield observed_span(record, update, process, now_ns)
        for name, process in known.items():
            if process is not None:
                other = processes.get((folder, name))
                processes[folder, name] = process if other is None else process.merged_with(other)

    def _process(
        self, name: str, reader: FileReader, rings: list[RingContents], now_ns: int
    ) -> RunningProcess | None:
        own_rings = [ring for ring in rings if ring.id == name]
        start = reader.process_record(name, "start")
        heartbeat = reader.process_record(name, "heartbeat")
        facts = IncarnationFacts(name, start, heartbeat, own_rings)
        process, recorded = facts.process, facts.recorded
        if not self._other_hosts and is_on_another_host(process):
            return None
        now = ClockReading.now()
        # Times in records count last: the clock may have been set back since.
        record_times = [record.time_ns for record in (start, heartbeat) if record is not None]
        evidence = LivenessEvidence.of_rings(own_rings, now.wall_ns)._replace(
            seen_ns=_modified_ns(reader.path, name) or max(record_times, default=0)
        )
        condition = condition_of(process, evidence, now, facts.silence_limit)
        if name in self._replaced[reader.path.parent]:
            condition = "dead"
        return RunningProcess(
            id=name,
            pid=process.pid,
            command=command_name(recorded.argv or living_argv(process)),
            host=process.host,
            folder=reader.path.parent,
            condition=condition,
            last_seen_ns=_last_seen_ns(reader, name, own_rings, evidence, now_ns),
            last_seq=facts.last_seq,
            rings=tuple(ring.path for ring in own_rings),
            heartbeat=heartbeat,
            worker_silent_ns=worker_silent_ns_at(evidence, now),
            service=service_of(recorded),
            dropped=facts.dropped,
            is_full=condition != "alive" and any(ring.is_full for ring in own_rings),
        )


def _entities_in(
    reader: FileReader,
    rings: list[RingContents],
    processes: Mapping[tuple[Path, str], RunningProcess],
) -> Iterator[tuple[Record, RunningProcess]]:
    """Yield the newest record of each entity in a file, with its process."""
    for line in reader.living_entities(rings):
        record = reader.decode(line)
        if record is not None:
            process = processes.get((reader.path.parent, base_id(record.process.id)))
            if process is not None:
                yield record, process


def _last_seen_ns(
    reader: FileReader,
    name: str,
    rings: list[RingContents],
    evidence: LivenessEvidence,
    now_ns: int,
) -> int:
    """Return when a process was last active; as recovery computes it, if a record shows that."""
    texts = [ring.last_text for ring in rings]
    file_ns = _modified_ns(reader.path, name)
    if file_ns:
        texts.append(reader.last_text)
    record_ns = max(map(time_of, texts), default=0)
    if not record_ns:
        return min(evidence.newest_ns, now_ns)
    return estimate_last_seen_ns(record_ns, evidence.stamp_ns, file_ns, now_ns)


def _modified_ns(path: Path, name: str) -> int:
    """Return when the file was last written to, if only this process writes to it."""
    parts = parse_segment_name(path.name)
    return 0 if parts is None or parts.incarnation != name else modified_ns([path])
