"""Encodes records as lines of a persistent queue, and decodes them without loss.

The line of a record has only the id of its process. So the file also holds the facts of
each process, in a line of their own before its first record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import RecordError
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.records import process_from, process_start_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_ext.exporters.delivery.persistent.files import Lines, QueueFileName
    from otel_ext.record.model import Process, Record

__all__ = [
    "Chunk",
    "QueueFile",
    "decode_chunk",
    "decode_lines",
    "encode_record",
    "process_line",
    "split_by_size",
    "with_processes",
]

_MARK: Final = "queue"
_CHUNK_SIZE: Final = 512
_SHRINK_FACTOR: Final = 8
# How often a single record is tried, with others accepted in between, before it is given up.
_MAX_TRIES: Final = 3


class QueueFile:
    """One file of the queue, and how much of it has been sent."""

    __slots__ = (
        "failures",
        "known",
        "limit",
        "name",
        "offset",
        "records",
        "size",
        "taken_when_failed",
        "taken_when_refused",
    )

    def __init__(self, name: QueueFileName, records: int, size: int) -> None:
        self.name = name
        self.records = records
        self.size = size
        self.offset = 0
        self.known: dict[str, Process] = {}
        # How many records the destination had accepted when it refused all of these; -1: never.
        self.taken_when_refused = -1
        # How many records are tried at once, and how often a single one has failed.
        self.limit = _CHUNK_SIZE
        self.failures = 0
        # How many records the destination had accepted at the last failure; -1: none yet.
        self.taken_when_failed = -1

    def note_success(self) -> None:
        """Note that the last chunk was accepted: the next one may be larger."""
        self.taken_when_refused = self.taken_when_failed = -1
        self.failures = 0
        self.limit = min(self.limit * 2, _CHUNK_SIZE)

    def note_failure(self, taken: int) -> bool:
        """Note a temporary failure; whether to give up the single record that was tried.

        While the destination accepts other records the cause may be in these, so fewer
        are tried at once, down to one.

        Args:
            taken: How many records of this kind the destination has accepted so far.
        """
        takes_others = 0 <= self.taken_when_failed < taken
        self.taken_when_failed = taken
        if not takes_others:
            return False
        if self.limit > 1:
            self.limit = max(self.limit // _SHRINK_FACTOR, 1)
            return False
        self.failures += 1
        return self.failures >= _MAX_TRIES


class Chunk(NamedTuple):
    """The next records to send, their file, and the offset after them.

    They are all of one kind, ended spans or others, since a destination may accept one
    kind and refuse the other.
    """

    file: QueueFile
    records: list[Record]
    offset: int
    at_end: bool


def encode_record(record: Record) -> bytes | None:
    """Return the line of a record; None if it cannot be encoded."""
    try:
        return encode_line(record)
    except Exception as error:  # noqa: BLE001 - the others must be kept
        COUNTERS.add("remote.not_encoded")
        report_problem("persistent queue: a record is lost", error)
        return None


def process_line(process: Process) -> bytes:
    """Return the line with the facts of `process`."""
    record = process_start_record(process, 0)
    return encode_line(record._replace(extra={**record.extra, _MARK: True}))


def decode_lines(lines: Iterable[bytes], known: dict[str, Process]) -> list[Record]:
    """Return the records of `lines`, each with the facts of its process.

    Args:
        lines: Lines of one file, in order; one that is not a record is counted and left
            out.
        known: The processes by their ids; those in the lines are added.

    >>> from otel_ext.record.model import Process, Record
    >>> process = Process("b0-7-1-aa", pid=7, resource={"service.name": "shop"})
    >>> record = Record("event", None, "deployed", 0, 1, process)
    >>> decode_lines([process_line(process), encode_line(record)], {})[0].process.resource
    {'service.name': 'shop'}
    """
    records: list[Record] = []
    for line in lines:
        try:
            record = decode_line(line)
        except RecordError:
            COUNTERS.add("remote.persisted_damaged")
            continue
        if record.kind == "process" and record.extra.get(_MARK) is True:
            known[record.process.id] = process_from(record.process.id, record.extra)
        else:
            process = known.get(record.process.id)
            # The `process.start` of a process contains its facts.
            if process is None and record.kind == "process" and "resource" in record.extra:
                process = known[record.process.id] = process_from(record.process.id, record.extra)
            records.append(record if process is None else record._replace(process=process))
    return records


def decode_chunk(file: QueueFile, lines: Lines) -> Chunk:
    """Return the first records of `lines` that are of one kind.

    Args:
        file: The file that the lines were read from, at its offset.
        lines: The lines.
    """
    records: list[Record] = []
    offset = file.offset
    for line in lines.lines:
        for record in decode_lines((line,), file.known):
            if records and records[0].is_real_end != record.is_real_end:
                return Chunk(file, records, offset, at_end=False)
            records.append(record)
        offset += len(line)
    return Chunk(file, records, lines.offset, lines.at_end)


def split_by_size(
    lines: list[tuple[Record, bytes]], size: int
) -> Iterator[list[tuple[Record, bytes]]]:
    """Yield `lines` in parts of up to `size` bytes, each with at least one record."""
    part: list[tuple[Record, bytes]] = []
    room = size
    for pair in lines:
        if part and len(pair[1]) > room:
            yield part
            part, room = [], size
        part.append(pair)
        room -= len(pair[1])
    if part:
        yield part


def with_processes(lines: list[tuple[Record, bytes]], known: dict[str, Process]) -> bytes:
    """Join the lines, with the facts of each process before its first record."""
    data: list[bytes] = []
    for record, line in lines:
        process = record.process
        if process.id not in known:
            known[process.id] = process
            data.append(process_line(process))
        data.append(line)
    return b"".join(data)
