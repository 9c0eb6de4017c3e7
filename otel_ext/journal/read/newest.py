"""Finds where the newest traces begin in files of records, without reading all of them."""

from __future__ import annotations

import heapq
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_ext.journal.read.scanner import Line, open_to_read, read_blocks, scan_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["TIME", "has_time", "start_of_newest", "time_in", "time_of_last", "trace_id_in"]

_HEAD: Final = b'{"__tracer_meta__":{"timestamp":"'
TIME: Final = slice(len(_HEAD), len(_HEAD) + len("1970-01-01T00:00:00.000000Z"))
"""Where the timestamp is in a line for which `has_time` holds."""

_SPAN: Final = b'"kind":"span"'
_UPDATE: Final = b'"phase":"update"'
_END: Final = b'"phase":"end"'
_START: Final = b'"start":"'
_TRACE_ID: Final = b'"trace_id":"'
_ID_SIZE: Final = 32
_STEP: Final = 8 * 1024 * 1024
_TAIL: Final = 256 * 1024


def has_time(line: bytes) -> bool:
    """Whether the timestamp of a line is where otel-ext writes it."""
    return line.startswith(_HEAD) and line[TIME].endswith(b"Z")


def time_in(line: bytes) -> str:
    """Return the timestamp of a line; empty, so sorted first, if it is not a record.

    >>> time_in(b'{"__tracer_meta__":{"timestamp":"1970-01-01T00:00:02.000000Z","kind":"span"}}')
    '1970-01-01T00:00:02.000000Z'
    """
    if has_time(line):
        return line[TIME].decode("ascii", "replace")
    found = (item.meta for item in scan_line(line) if isinstance(item, Line))
    return next((str(meta.get("timestamp")) for meta in found), "")


def trace_id_in(line: bytes) -> bytes:
    """Return the trace id of a line, as otel-ext writes it; empty if it is not there.

    >>> trace_id_in(b'{"__tracer_meta__":{"trace_id":"0000000000000000000000000000000a"}}')
    b'0000000000000000000000000000000a'
    """
    at = line.find(_TRACE_ID) + len(_TRACE_ID)
    return line[at : at + _ID_SIZE] if at >= len(_TRACE_ID) else b""


def time_of_last(path: Path) -> str:
    """Return the latest timestamp near the end of a file; empty without one."""
    with suppress(OSError):
        size = path.stat().st_size
        return max(map(time_in, _lines(path, max(size - _TAIL, 0), size)), default="")
    return ""


def start_of_newest(files: Iterable[Path], number: int) -> str:
    """Return about when the newest `number` traces have started.

    Files are read from their ends, the newest first, and only as far as needed. Of a trace
    with spans that began before what was read, and are open, the start is not known: the
    result may be too late then.

    Args:
        files: Files of records.
        number: How many traces; at least 1.

    Returns:
        The timestamp; empty if there are no more traces than that.
    """
    newest = _Newest(number)
    is_whole = True
    for last, path in sorted(((time_of_last(path), path) for path in files), reverse=True):
        if last < newest.start:
            is_whole = False
            break
        with suppress(OSError):
            end = path.stat().st_size
            while end > 0:
                begin = max(end - _STEP, 0)
                if newest.add(_lines(path, begin, end)) < newest.start:
                    is_whole = is_whole and begin == 0
                    break
                end = begin
    return "" if is_whole and not newest.has_more else newest.start


class _Newest:
    """The newest traces seen so far.

    Attributes:
        start: The start of the oldest of them; empty while there are too few.
        has_more: Whether there are older ones.
    """

    def __init__(self, number: int) -> None:
        self.start = ""
        self.has_more = False
        self._number = number
        self._starts: dict[str, str] = {}  # of each trace, as far as it was read

    def add(self, lines: Iterable[bytes]) -> str:
        """Add the traces whose spans are in some lines; return the latest timestamp."""
        latest, least = "", self.start
        for line in lines:
            time = time_in(line)
            latest = max(latest, time)
            # What ended before all of these started earlier still.
            if time < least or _SPAN not in line or _UPDATE in line:
                self.has_more = self.has_more or (time < least and _SPAN in line)
                continue
            trace_id, start = _trace_in(line, time)
            if trace_id:  # else half a line
                self._starts[trace_id] = min(self._starts.get(trace_id, start), start)
        self.has_more = self.has_more or len(self._starts) > self._number
        if len(self._starts) >= self._number:
            self.start = heapq.nlargest(self._number, self._starts.values())[-1]
        return latest


def _trace_in(line: bytes, time: str) -> tuple[str, str]:
    """Return the trace id of the start or end of a span, and when the span started."""
    if has_time(line):
        start = line.find(_START) + len(_START) if _END in line else 0
        found = line[start : start + len(time)].decode("ascii", "replace") if start else time
        return trace_id_in(line).decode("ascii", "replace"), found
    for item in scan_line(line):
        if isinstance(item, Line):
            return str(item.meta.get("trace_id")), str(item.meta.get("start") or time)
    return "", time


def _lines(path: Path, begin: int, end: int) -> Iterator[bytes]:
    """Yield the lines between two offsets, the first and last perhaps only in part."""
    descriptor = open_to_read(path)
    try:
        for block in read_blocks(descriptor, begin, end):
            yield from block.lines
    finally:
        os.close(descriptor)
