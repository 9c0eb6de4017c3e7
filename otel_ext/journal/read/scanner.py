"""Scans files and ring buffers for whole lines, and reports damaged ranges.

The scan never raises because of a file's content: it yields the whole lines before and
after any damage, and each skipped range with the reason. Memory is bounded by the longest
line. It only reads, so it works on files in use and on the ring buffer of a hung process.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from otel_ext.errors import RecordError
from otel_ext.journal.read.salvage import RECORD_START, metadata_of, parse_json, salvage
from otel_ext.record.decode import decode_line
from otel_ext.record.sanitise.values import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from otel_ext.record.model import Record

__all__ = [
    "Block",
    "Line",
    "Located",
    "Skipped",
    "open_to_read",
    "read_blocks",
    "read_records",
    "scan",
    "scan_descriptor",
    "scan_line",
]

Reason = Literal["torn", "nul", "garbage", "too long", "not a record", "unreadable"]

_BLOCK: Final = 256 * 1024
_BLANK: Final = bytes(_BLOCK)
_LONGEST_RECORD_START: Final = 128
_NULS: Final = re.compile(rb"\0{8,}")


class Line(NamedTuple):
    """One whole line: its offset in the file, its bytes without the newline, its metadata."""

    offset: int
    data: bytes
    meta: Mapping[str, object]

    @property
    def key(self) -> tuple[str, int]:
        """Process id and sequence number: the same for every copy of one record."""
        return cast("str", self.meta["process"]), cast("int", self.meta["seq"])


class Skipped(NamedTuple):
    """A range of bytes without a record, and what is wrong with it."""

    offset: int
    length: int
    reason: Reason


class Located(NamedTuple):
    """A record and the offset of its line in the file."""

    offset: int
    record: Record


def scan(path: Path, start: int = 0) -> Iterator[Line | Skipped]:
    """Yield the lines and the damaged ranges of a file, in order.

    It begins at the offset `start`; if that is negative, so many bytes before the end, perhaps
    inside a line. A file that cannot be opened yields one `Skipped` of length 0.
    """
    try:
        descriptor = open_to_read(path)
    except OSError:
        yield Skipped(max(start, 0), 0, "unreadable")
        return
    try:
        if start < 0:
            start = max(os.fstat(descriptor).st_size + start, 0)
        yield from scan_descriptor(descriptor, start)
    finally:
        os.close(descriptor)


def open_to_read(path: Path) -> int:
    """Open a file of records and return its descriptor; a pipe does not block."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))


def scan_descriptor(
    descriptor: int, start: int = 0, end: int | None = None
) -> Iterator[Line | Skipped]:
    """Yield the lines and the damaged ranges of an open file from `start` to `end`."""
    pending: Skipped | None = None
    for item in _pieces(descriptor, start, end):
        if isinstance(item, Line):
            if pending is not None:
                yield pending
            pending = None
            yield item
        elif pending is None:
            pending = item
        elif _is_continued(pending, item):
            pending = Skipped(pending.offset, pending.length + item.length, pending.reason)
        else:
            yield pending
            pending = item
    if pending is not None:
        yield pending


def _is_continued(first: Skipped, then: Skipped) -> bool:
    """Return whether two ranges are one: a line that is too long comes in pieces."""
    if then.offset != first.offset + first.length:
        return False
    return then.reason == first.reason or (first.reason == "too long" and then.reason != "nul")


def _pieces(descriptor: int, start: int, end: int | None) -> Iterator[Line | Skipped]:
    at = start
    try:
        for block in read_blocks(descriptor, start, end):
            at = block.offset
            for data in block.lines:
                yield from scan_line(data, at, ended=block.ended)
                at += len(data) + 1
            at = block.end
    except OSError:
        yield Skipped(at, 0, "unreadable")


class Block(NamedTuple):
    """Lines of a file that follow each other, without their newlines.

    Or one piece of a line that is too long; or none, if nothing wanted is in them. `ended` is
    false for what may still grow to a line.
    """

    offset: int
    lines: list[bytes]
    end: int
    ended: bool = True

    @property
    def is_piece(self) -> bool:
        """Whether it is a piece of a line, without a newline."""
        return bool(self.lines) and self.end - self.offset == len(self.lines[0])


def read_blocks(
    descriptor: int, start: int, end: int | None = None, *, containing: Sequence[bytes] = ()
) -> Iterator[Block]:
    """Yield the lines of an open file from `start` to `end`, many at a time.

    Args:
        descriptor: The file.
        start: Where to begin.
        end: Where to end; by default at the end of the file.
        containing: Leave out the lines of parts of the file that have none of these texts.
    """
    at = rest_at = start
    rest = b""
    problem: OSError | None = None
    while end is None or at < end:
        try:
            data = os.pread(descriptor, _BLOCK if end is None else min(_BLOCK, end - at), at)
        except OSError as error:
            problem = error
            break
        if not data:
            break
        at += len(data)
        data = rest + data if rest else data
        cut = data.rfind(b"\n") + 1
        if cut and containing and not any(data.find(text, 0, cut) >= 0 for text in containing):
            yield Block(rest_at, [], rest_at + cut)
            rest, rest_at = data[cut:], rest_at + cut
            continue
        *whole, rest = data.split(b"\n")
        if whole:
            yield Block(rest_at, whole, at - len(rest))
            rest_at = at - len(rest)
        while len(rest) > MAX_LINE_BYTES or (rest and _is_blank(rest)):
            cut = _cut(rest)
            yield Block(rest_at, [rest[:cut]], rest_at + cut)
            rest, rest_at = rest[cut:], rest_at + cut
    if rest:
        yield Block(rest_at, [rest], at, ended=False)
    if problem is not None:
        raise problem


def _is_blank(data: bytes) -> bool:
    """Return whether all bytes are zero, as most of a ring buffer is."""
    return data.startswith(b"\0") and data == (_BLANK if len(data) == _BLOCK else bytes(len(data)))


def _cut(rest: bytes) -> int:
    """Return how many bytes of an endless line to examine: up to its last record beginning."""
    if _is_blank(rest):
        return len(rest)
    last = 0
    for match in RECORD_START.finditer(rest):
        last = match.start()
    return last or len(rest) - _LONGEST_RECORD_START


def scan_line(data: bytes, offset: int = 0, *, ended: bool = True) -> Iterator[Line | Skipped]:
    """Yield the records and the damage in bytes that end with a newline, unless not `ended`."""
    if not data:
        return
    if _is_blank(data):
        yield Skipped(offset, len(data), "nul")
        return
    loaded = parse_json(data)
    if isinstance(loaded, dict):
        meta = metadata_of(cast("dict[str, object]", loaded))
        yield (
            Skipped(offset, len(data), "not a record") if meta is None else Line(offset, data, meta)
        )
    elif loaded is not None or data.isspace():
        yield Skipped(offset, len(data), "not a record")
    else:
        yield from _salvage(data, offset, ended=ended)


def _salvage(data: bytes, offset: int, *, ended: bool) -> Iterator[Line | Skipped]:
    """Yield the whole records in damaged bytes, and the ranges between them."""
    done = 0
    for start, end, meta in salvage(data):
        if start > done:
            yield from _classify(data[done:start], offset + done, ended=True)
        done = end
        yield Line(offset + start, data[start:end], meta)
    if done < len(data):
        yield from _classify(data[done:], offset + done, ended=ended)


def _classify(data: bytes, offset: int, *, ended: bool) -> Iterator[Skipped]:
    """Yield why bytes without a record were skipped, with runs of NUL as separate ranges."""
    done = 0
    for run in _NULS.finditer(data):
        if run.start() > done:
            yield _classify_one(data[done : run.start()], offset + done, ended=False)
        yield Skipped(offset + run.start(), run.end() - run.start(), "nul")
        done = run.end()
    if done < len(data):
        yield _classify_one(data[done:], offset + done, ended=ended)


def _classify_one(data: bytes, offset: int, *, ended: bool) -> Skipped:
    reason: Reason = "garbage"
    if not data.strip(b"\0"):
        reason = "nul"
    elif len(data) > MAX_LINE_BYTES:
        reason = "too long"
    elif not ended or RECORD_START.match(data):
        reason = "torn"
    return Skipped(offset, len(data), reason)


def read_records(path: Path) -> Iterator[Located | Skipped]:
    """Yield the records and the damaged ranges of a file of lines, in order."""
    for item in scan(path):
        if isinstance(item, Skipped):
            yield item
            continue
        try:
            yield Located(item.offset, decode_line(item.data))
        except RecordError:
            yield Skipped(item.offset, len(item.data), "not a record")
