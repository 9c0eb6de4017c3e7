"""The table of open spans: those that started in this process and have not ended.

On the caller's path a span costs one weak reference and one dictionary entry, without
a lock. The table never keeps a span alive: when one is collected without an end, its
entry goes to `collected` for the reaper. Bounded in count; the reaper bounds age.
"""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from time import monotonic_ns, time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from otel_ext._accel import configure
from otel_ext.inflight.owners import Owners
from otel_ext.inflight.settings import InflightSettings
from otel_ext.record.decode import decode_attributes
from otel_ext.record.model import EMPTY, PlainAttributes, Record
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child, check_process

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from opentelemetry.sdk.trace import Span
    from opentelemetry.trace import SpanContext

    from otel_ext.inflight.owners import Owner
    from otel_ext.record.model import CallSite, TaskInfo, ThreadInfo

__all__ = [
    "Entry",
    "InflightTable",
    "Key",
    "OpenSpan",
    "open_spans",
    "span_key",
]

Key: TypeAlias = tuple[int, int]
"""Trace id and span id. A span id alone is not unique across traces."""


def span_key(context: SpanContext) -> Key:
    """Return the key of the span that `context` names.

    >>> from opentelemetry.trace import SpanContext
    >>> span_key(SpanContext(trace_id=7, span_id=9, is_remote=False))
    (7, 9)
    """
    return context.trace_id, context.span_id


class StartLine(Protocol):
    """The start of an open span as its line, from which the record can be made."""

    @property
    def name(self) -> str:
        """The span's name when it started."""
        ...

    def record(self) -> Record:
        """Return the start record."""
        ...


class Entry(weakref.ref["Span"]):
    """One open span: a weak reference to it, with what is kept of its start, and its owner.

    Attributes:
        born: When it started by the monotonic clock, so that ages stay right when the wall
            clock is set or the user passed a start time.
        kept: Its start record or, from the compiled hooks, the line of that.
    """

    __slots__ = ("born", "kept", "owner")
    born: int
    kept: Record | StartLine
    owner: Owner

    @property
    def record(self) -> Record:
        """The start record; made from the line if nothing asked for it before."""
        kept = self.kept
        if not isinstance(kept, Record):
            self.kept = kept = kept.record()
        return kept

    @property
    def name(self) -> str:
        """The span's name when it started."""
        return self.kept.name


def _attributes_of(line: bytes, size: int) -> PlainAttributes:
    """Return the attributes in a start's line, of which `size` is the mark."""
    attributes = PlainAttributes(decode_attributes(line))
    attributes.size = size
    return attributes


@dataclass(frozen=True)
class OpenSpan:
    """A snapshot of one open span.

    Args:
        name: The span's name when it started.
        trace_id: 32 lower-case hex digits.
        span_id: 16 lower-case hex digits.
        parent_span_id: The parent's id; empty for a root.
        start_ns: When it started, in nanoseconds since the epoch.
        age_ns: For how long it has been open, in nanoseconds.
        thread: The thread that opened it.
        task: The asyncio task that opened it, if one did.
        owner_alive: Whether that task, or else that thread, still runs.
        attributes: The attributes at the start.
        call_site: Where it was opened.
        stalled: Whether it is open for longer than its threshold.
    """

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    start_ns: int
    age_ns: int
    thread: ThreadInfo | None
    task: TaskInfo | None
    owner_alive: bool
    attributes: Mapping[str, object]
    call_site: CallSite
    stalled: bool


class InflightTable:
    """Holds the start record of every open span until it ends.

    Args:
        max_spans: Spans beyond this many at once are not tracked: they get their end
            record, but are not reported if they never end.
    """

    def __init__(self, *, max_spans: int = InflightSettings.max_open_spans) -> None:
        if max_spans < 0:
            raise ValueError(f"max_spans={max_spans} is negative: use 0 or more")
        self._max_spans = max_spans
        self._open: dict[Key, Entry] = {}
        self._inherited: tuple[dict[Key, Entry], ...] = ()
        self._forked_at = 0
        self.stalled: dict[Key, int] = {}
        """Stalled spans, each with the age in nanoseconds at which the next update is due."""
        self.reported: set[Key] = set()
        """Spans that have an abandoned end and are kept for a real one that still comes."""
        self._kept: dict[Key, Entry] = {}
        self.ending: dict[Key, tuple[int, Record]] = {}
        """Spans from `begin_end` until their end is exported: the thread, and the start record."""
        self.is_exiting = False
        """Whether the spans in `ending` count as open: at the exit, their end may not come."""
        self._attach()
        after_fork_in_child(self._reset)
        _tables[id(self)] = weakref.ref(self, partial(_tables.pop, id(self)))

    def __len__(self) -> int:
        return len(self._open)

    def add(self, record: Record, span: Span, key: Key | None = None) -> bool:
        """Add `span`, which has started; called by its thread, from `on_start`.

        Args:
            record: Its start record.
            span: The span, of which only a weak reference is kept.
            key: Its key, if the caller has it already.

        Returns:
            Whether it is tracked; False when the table is full.
        """
        opened = self._open
        if len(opened) >= self._max_spans:
            COUNTERS.add("inflight.refused")
            return False
        if key is None:
            key = span_key(span.get_span_context())
        entry = Entry(span, self._note_collected)
        entry.kept = record
        entry.born = monotonic_ns()
        if record.task is None:
            try:
                entry.owner = self.owners.local.owner
            except AttributeError:  # the thread's first span
                entry.owner = self.owners.of_thread()
        else:
            entry.owner = self.owners.of_task(key)
        opened[key] = entry
        return True

    def pop(self, key: Key) -> Record | None:
        """Remove a span that has ended; return its start record, or None if it is not here."""
        entry = self._open.pop(key, None) or self._kept.pop(key, None)
        return None if entry is None else entry.record

    def begin_end(self, key: Key) -> Record | None:
        """Do what `pop` does, and note in `ending` that this thread exports the span's end now.

        The interpreter may stop the thread in between, at any time after the exit handlers.
        """
        entry = self._open.get(key) or self._kept.get(key)
        if entry is not None:
            self.ending[key] = (get_ident(), entry.record)
        return self.pop(key)

    def is_inherited(self, key: Key, start_ns: int | None = None) -> bool:
        """Whether the span `key`, which `pop` did not find, was opened before a fork.

        The parent process ends it too, so the child ignores its own end of it. Each such
        end is counted.

        Args:
            key: The span's key.
            start_ns: Its start time, to recognise a span that the parent's full table
                refused.
        """
        if not self._forked_at:
            return False
        found = any(key in opened for opened in self._inherited)
        if found or (start_ns is not None and start_ns < self._forked_at):
            COUNTERS.add("inflight.inherited_ends")
            return True
        return False

    def entries(self) -> Iterator[tuple[Key, Entry]]:
        """Yield the spans that are open now, without those that end meanwhile, oldest first."""
        opened = self._open
        # The keys are copied in one step, because other threads may end spans meanwhile.
        for key in list(opened):
            entry = opened.get(key)
            if entry is not None:
                yield key, entry

    def get(self, key: Key) -> Entry | None:
        """Return the entry of the open span `key`."""
        return self._open.get(key)

    def start_records(self) -> list[Record]:
        """Return the start records of all open spans, oldest first.

        A journal repeats them in each new segment. Spans that have an abandoned end in an
        older segment are left out: for readers they have ended. At the exit, spans that other
        threads are ending are among them.
        """
        reported = self.reported
        if reported:
            records = [entry.record for key, entry in self.entries() if key not in reported]
        else:
            records = [entry.record for entry in list(self._open.values())]
        if self.is_exiting:
            own = get_ident()
            records += [record for thread, record in list(self.ending.values()) if thread != own]
        return records

    def starts_before(
        self, born_before: float, known: Container[Key]
    ) -> Iterator[tuple[Key, Record]]:
        """Yield the start records of spans that are open for long, oldest first, with their keys.

        Args:
            born_before: When the youngest of them opened, in nanoseconds of the monotonic clock.
            known: Spans to leave out; those that have an abandoned end are left out, too.
        """
        for key, entry in self.entries():
            if entry.born > born_before:
                return  # the others are younger
            if key not in known and key not in self.reported:
                yield key, entry.record

    def remove(self, key: Key, entry: Entry) -> bool:
        """Remove `entry`, for the reaper; False when the span has ended meanwhile."""
        if self._open.get(key) is not entry:
            return False
        return self._open.pop(key, None) is entry

    def keys(self) -> list[Key]:
        """Return the keys of the open spans, oldest first."""
        return list(self._open)

    def take(self, keys: Iterable[Key]) -> list[tuple[Key, Entry]]:
        """Remove and return the entries of those `keys` that are still open, for the reaper."""
        pop = self._open.pop
        return [(key, entry) for key in keys if (entry := pop(key, None)) is not None]

    def put_back(self, entries: Iterable[tuple[Key, Entry]]) -> None:
        """Add removed entries again, for the reaper."""
        for key, entry in entries:
            self._open.setdefault(key, entry)

    def keep(self, entries: Iterable[tuple[Key, Entry]]) -> None:
        """Keep removed entries for `pop` only, for the reaper.

        A later exit handler may still end a span that was open at the exit, and its end
        record needs its start record.
        """
        self._kept.update(entries)

    def open_spans(self) -> list[tuple[Key, OpenSpan]]:
        """Return all open spans with their keys, oldest first."""
        now = monotonic_ns()
        return [(key, self._describe(key, entry, now)) for key, entry in self.entries()]

    def _describe(self, key: Key, entry: Entry, now: int) -> OpenSpan:
        record = entry.record
        return OpenSpan(
            name=record.name,
            trace_id=record.trace_id,
            span_id=record.span_id,
            parent_span_id=record.parent_span_id,
            start_ns=record.time_ns,
            age_ns=now - entry.born,
            thread=record.thread,
            task=record.task,
            owner_alive=entry.owner.is_alive(),
            attributes=MappingProxyType(dict(record.attributes)) if record.attributes else EMPTY,
            call_site=record.call_site,
            stalled=key in self.stalled,
        )

    def _attach(self) -> None:
        self.owners = Owners()
        self.collected: deque[Entry] = deque()
        # The garbage collector may call this at any point: one step, no lock.
        self._note_collected = self.collected.append
        # What the compiled hooks need of the table; new after a fork.
        self.hook_parts: dict[str, object] = {
            "opened": self._open,
            "max_spans": self._max_spans,
            "note_collected": self._note_collected,
            "owners": self.owners,
            "local": self.owners.local,
            "note_gone": self.owners.note_gone,
        }

    def _reset(self) -> None:
        """Start empty in a forked child; the open spans are the parent's."""
        self._inherited = (self._open, *self._inherited)
        self._forked_at = time_ns()
        self._open = {}
        self._kept = {}
        self.ending = {}
        self.stalled = {}
        self.reported = set()
        self._attach()


_tables: Final[dict[int, weakref.ref[InflightTable]]] = {}


def open_spans() -> tuple[OpenSpan, ...]:
    """Return the spans that are open in this process now, oldest first.

    An immutable snapshot: nothing in it changes later, and it keeps no span alive.

    >>> all(span.age_ns >= 0 for span in open_spans())
    True
    """
    check_process()
    found: dict[Key, OpenSpan] = {}
    for reference in list(_tables.values()):
        table = reference()
        if table is not None:
            for key, span in table.open_spans():
                found.setdefault(key, span)
    return tuple(sorted(found.values(), key=lambda span: -span.age_ns))


configure("configure_start_lines", _attributes_of)
