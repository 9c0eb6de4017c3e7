"""Keeps the spans of a journal that have started and not ended, by its lines.

All readers use this: recovery, `ps`, `top` and the other commands. The lines of a file
come first, in order, then those of its ring buffers, in any order. Memory grows with the
open spans, not with the lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.errors import RecordError
from otel_ext.journal.read.salvage import metadata_of, parse_json
from otel_ext.record.decode import decode_line
from otel_ext.record.merge import rank_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_ext.journal.read.rings import RingContents
    from otel_ext.journal.read.scanner import Line
    from otel_ext.record.model import Record

__all__ = ["END", "START", "UPDATE", "Key", "OpenSpans", "RunningSpan", "decode", "key_of"]

Key = bytes
"""A span's two ids as a line contains them: `TRACE","span_id":"SPAN`."""

START, UPDATE, END = b"s", b"u", b"e"
"""The phases, by their first letter."""

_ABANDONED: Final = b',"abandoned":"'


class RunningSpan(NamedTuple):
    """A span that has started and not ended.

    Attributes:
        start: Its start record; if that is lost, its newest update.
        update: The newest update; None without one.
    """

    start: Record
    update: Record | None


def key_of(meta: Mapping[str, object]) -> Key:
    """Return the key of the span in a line's metadata."""
    return f'{meta.get("trace_id")}","span_id":"{meta.get("span_id")}'.encode()


def decode(line: bytes) -> Record | None:
    """Return the record in a line; None if the line is empty or not a valid record."""
    try:
        return decode_line(line) if line else None
    except RecordError:
        return None


class OpenSpans:
    """Takes the lines of spans and keeps those of spans without an end.

    Attributes:
        starts: The start lines of open spans, by key.
        updates: The newest update line of open spans, by key.
        ended: Keys whose end came before its start was known, or whose start may come again:
            a start that follows is ignored.
        is_past_first_lines: Whether the segment has more than the first lines of a segment, so
            that these, which repeat the open spans, are complete.
    """

    def __init__(self) -> None:
        self.starts: dict[Key, bytes] = {}
        self.updates: dict[Key, bytes] = {}
        self.ended: set[Key] = set()
        self.is_past_first_lines = False
        self._repeated: set[Key] = set()
        # The ranks of updates that have followed an earlier one.
        self._ranks: dict[Key, tuple[object, ...]] = {}

    def copy(self, ended: set[Key]) -> OpenSpans:
        """Return a copy that takes the lines of ring buffers and knows further `ended` spans."""
        other = OpenSpans()
        other.starts, other.updates = dict(self.starts), dict(self.updates)
        other._ranks = dict(self._ranks)
        other.ended = self.ended | ended
        other.is_past_first_lines = self.is_past_first_lines
        return other

    def begin_segment(self) -> None:
        """Start with the lines of another segment."""
        self.is_past_first_lines = False
        self._repeated.clear()

    def add(self, key: Key, phase: bytes, line: bytes) -> None:
        """Add one line of a segment, with the first letter of its phase."""
        if phase == START:
            if key not in self.ended:
                self.starts.setdefault(key, line)
                if not self.is_past_first_lines:
                    self._repeated.add(key)
            return
        self.is_past_first_lines = True
        if phase == END:
            if self.updates.pop(key, None) is not None:
                self._ranks.pop(key, None)
            is_first = self.starts.pop(key, None) is None
            # A start may follow the end of a span that was abandoned, and of one whose start
            # a new segment repeated before the original was drained from the ring buffer.
            if is_first or _ABANDONED in line or key in self._repeated:
                self.ended.add(key)
        elif phase == UPDATE and key not in self.ended:
            self._add_update(key, line)

    def _add_update(self, key: Key, line: bytes) -> None:
        known = self.updates.get(key)
        if known is not None:
            rank, known_rank = _rank(line), self._ranks.get(key) or _rank(known)
            self._ranks[key] = max(rank, known_rank)
            if rank < known_rank:
                return
        self.updates[key] = line

    def add_line(self, line: Line) -> bytes:
        """Add one line of a span whose metadata is decoded; return its phase.

        Empty if the line is ignored because the span has ended.
        """
        key, phase = key_of(line.meta), str(line.meta.get("phase"))[:1].encode()
        self.add(key, phase, line.data)
        if phase == END and "abandoned" in line.meta:
            self.ended.add(key)
        return b"" if phase != END and key in self.ended else phase

    def add_ring_line(self, ring: RingContents, line: Line, *, is_file_intact: bool) -> bytes:
        """Add one line of a span in a ring buffer; return the same as `add_line`.

        A line stays in the ring buffer for a while after it was drained to the file. While the
        newest file is as its writer left it, and older ones were not read, drained starts are
        ignored: their ends may be in an older file. They count if something truncated, moved or
        deleted the file, because a program that hangs does not write it again.
        """
        if is_file_intact and line.meta.get("phase") == "start" and ring.is_drained(line):
            return b""
        phase = self.add_line(line)
        if phase == END:
            self.ended.add(key_of(line.meta))  # a small end may fit where its start did not
        return phase

    def running(
        self,
        has_all_starts: Callable[[Record], bool],
        decoded: Callable[[bytes], Record | None] = decode,
    ) -> Iterator[RunningSpan]:
        """Yield the open spans.

        An update without a start belongs to a span that has ended, if `has_all_starts` returns
        that all starts of its process are known. `decoded` returns the record in a line.
        """
        for key in dict.fromkeys((*self.starts, *self.updates)):
            update = decoded(self.updates[key]) if key in self.updates else None
            start = decoded(self.starts[key]) if key in self.starts else None
            if key not in self.starts and update is not None and has_all_starts(update):
                continue
            first = start or update
            if first is not None:
                yield RunningSpan(first, update)


def _rank(line: bytes) -> tuple[object, ...]:
    """Return the rank of an update by the merge rule; the least for a damaged one."""
    loaded = parse_json(line)
    meta = metadata_of(cast("dict[str, object]", loaded)) if isinstance(loaded, dict) else None
    return () if meta is None else rank_in(meta)
