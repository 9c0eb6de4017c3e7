"""`last_checkpoint`: finds the newest checkpoint of a name in the records of all processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.context.checkpoints.liveness import is_writer_alive
from otel_ext.context.checkpoints.scan import CheckpointScan
from otel_ext.errors import RecordError
from otel_ext.journal.outputs import Output, newest_output
from otel_ext.journal.read.incarnations import base_id
from otel_ext.record.decode import decode_line
from otel_ext.record.entities import entity_of

if TYPE_CHECKING:
    import os

    from otel_ext.context.checkpoints.state import State
    from otel_ext.record.model import Record

__all__ = [
    "ATTEMPT",
    "OVER",
    "RUN",
    "STATE",
    "Checkpoint",
    "Newest",
    "find_newest",
    "last_checkpoint",
]

STATE: Final = "state"
"""The attribute with the state."""

ATTEMPT: Final = "attempt"
"""The attribute with the number of the attempt."""

RUN: Final = "run"
"""The attribute that counts how often the operation was begun from its beginning."""

OVER: Final = "over"
"""The attribute of the checkpoint of an attempt that an exception has ended."""


class Checkpoint(NamedTuple):
    """What an operation has stored last.

    Attributes:
        name: The operation's name.
        state: Its state; None if it has stored none yet.
        attempt: The number of the attempt that stored it, from 1.
        time_ns: When, nanoseconds since the epoch.
        trace_id: Its trace, 32 lower-case hex digits; empty without a span.
        span_id: Its span in that trace, 16 lower-case hex digits.
        process: Id of the process incarnation that stored it.
        alive: Whether that process still runs, and the attempt is not over by an exception.
    """

    name: str
    state: State
    attempt: int
    time_ns: int
    trace_id: str
    span_id: str
    process: str
    alive: bool


class Newest(NamedTuple):
    """The newest record about a checkpoint.

    Attributes:
        run: Which run of the operation it belongs to.
        attempt: Which attempt of that run.
        record: The record.
        is_done: Whether it says that the operation is done.
        is_over: Whether it says that an exception has ended the attempt.
        is_writer_alive: Whether the process that wrote it runs.
    """

    run: int
    attempt: int
    record: Record
    is_done: bool
    is_over: bool
    is_writer_alive: bool


def last_checkpoint(
    name: str, *, folder: str | os.PathLike[str] | None = None
) -> Checkpoint | None:
    """Return the newest checkpoint of an operation that is not done, of any process.

    It reads the ring buffers and files of the folder, so it also finds what a killed process
    has stored last. It is found until retention deletes the file with it, like any record.

    Args:
        name: The operation's name.
        folder: The folder of records, or a single file; by default where this program
            records. Without either there is no checkpoint.

    Returns:
        The checkpoint with the highest attempt; None if there is none, or `resume` has
        recorded that the operation is done.

    Raises:
        JournalError: A file or the folder exists and cannot be read.

    >>> import tempfile
    >>> last_checkpoint("import", folder=tempfile.mkdtemp()) is None
    True
    """
    output = newest_output() if folder is None else Output(Path(folder).absolute())
    found = None if output is None else find_newest(name, output)
    if found is None or found.is_done:
        return None
    record = found.record
    return Checkpoint(
        name,
        cast("State", record.attributes.get(STATE)),
        found.attempt,
        record.time_ns,
        record.trace_id,
        record.span_id,
        base_id(record.process.id),
        found.is_writer_alive and not found.is_over,
    )


def find_newest(name: str, output: Output) -> Newest | None:
    """Return the newest record about a checkpoint; None without one.

    Of several processes the one with the highest run and attempt counts, then the latest.

    Raises:
        JournalError: As for `last_checkpoint`.
    """
    scan = CheckpointScan(name, output)
    best: tuple[tuple[int, int, int], Record] | None = None
    for _, line in scan.newest.values():
        try:
            record = decode_line(line)
        except RecordError:
            continue
        numbers = _number(record, RUN), _number(record, ATTEMPT)
        rank = (*numbers, record.time_ns)
        if best is None or rank > best[0]:
            best = rank, record
    if best is None:
        return None
    (run, attempt, _), record = best
    entity = entity_of(record)
    is_alive = is_writer_alive(base_id(record.process.id), scan, output)
    is_done = entity is not None and entity.deleted
    is_over = record.attributes.get(OVER) is True
    return Newest(run, attempt, record, is_done, is_over, is_alive)


def _number(record: Record, key: str) -> int:
    value = record.attributes.get(key)
    return value if type(value) is int and value > 0 else 1
