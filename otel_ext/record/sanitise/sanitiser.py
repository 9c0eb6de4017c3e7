"""`Sanitiser`: makes a record safe, once, when it is captured.

Afterwards its values are plain, bounded in size and, with a judge, free of secrets, so
that no exporter needs to examine them, a program's own ones included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, cast

from otel_ext._accel import bind
from otel_ext.record.model import (
    EMPTY,
    META_KEY,
    CallSite,
    Link,
    PlainAttributes,
    Record,
    SpanEvent,
    TaskInfo,
    ThreadInfo,
)
from otel_ext.record.sanitise.budget import WORK, Budget
from otel_ext.record.sanitise.fast_check import ITEM_BYTES, FastCheck, Known
from otel_ext.record.sanitise.scalars import is_utf8
from otel_ext.record.sanitise.values import MAX_LINE_BYTES, encode_text, plain_fields
from otel_ext.record.sanitise.walk import Walker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.record.model import Process, Status, TraceContext

__all__ = [
    "PLAIN",
    "Named",
    "Sanitiser",
    "count_of",
    "marked_safe",
    "sanitised",
    "sanitiser_for",
]

# The room for the one that counts those left out.
_COUNT: Final = 256
# The types of attributes that are copied for the fast check.
_USUAL: Final[frozenset[type]] = frozenset({dict, type(EMPTY)})

_MAX_KEYS: Final = 4_096
_LONGEST_KEY: Final = 512
# Texts beside the user's data that take the fast path.
_LONGEST_NAME: Final = 1_024
# The most bytes of JSON of all links, of all events, and of the further metadata.
_MAX_PART: Final = MAX_LINE_BYTES // 4

Item = TypeVar("Item", Link, SpanEvent)
Named = TypeVar("Named", ThreadInfo, TaskInfo)
"""A thread or a task."""


class Sanitiser:
    """Makes records safe; see the module.

    Most records are safe as they are: `check` recognizes them. The others are walked.

    >>> from otel_ext.record.model import Process, Record
    >>> record = Record("log", None, "x", 0, 1, Process("p"), attributes={"n": 10**20})
    >>> Sanitiser().sanitise(record).attributes
    {'n': '100000000000000000000'}
    """

    known: Known | None
    check: Callable[[Record], bool]
    """`is_safe`, compiled if the extension was built."""

    def __init__(self) -> None:
        self._keys: dict[str, bool] = {}
        self.use(Known(None, self._keys, clean_key=True))

    def use(self, known: Known | None) -> None:
        """Set what the fast check knows; with None it finds no record safe."""
        self.known = known
        self.check = is_safe = self.is_safe
        if known is not None:
            self.check = bind("bind_check", is_safe, **known._asdict(), is_safe=is_safe)

    def sanitise(self, record: Record) -> Record:
        """Return `record` with safe values; itself if they are.

        Raises:
            RecursionError: The thread has no stack left. Nothing else is raised.
        """
        try:
            if self.check(record):
                return record
        except RecursionError:
            raise  # a caller with stack left tries again
        except Exception:  # noqa: BLE001, S110 - a record of any types; walked below
            pass
        return self.make_safe(record)

    def make_safe(self, record: Record) -> Record:
        """Return `record`, which `check` did not find safe, with safe values.

        Raises:
            RecursionError: As above.
        """
        try:
            return self._made_safe(record)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return self.emptied(record, error)

    def _made_safe(self, record: Record) -> Record:
        process = self.process(record.process)
        attributes = record.attributes
        if type(attributes) is not PlainAttributes and type(attributes) in _USUAL:
            record = record._replace(attributes=PlainAttributes(attributes), process=process)
        elif process is not record.process:
            record = record._replace(process=process)
        else:
            return self._walked(record)
        try:
            is_safe = self.check(record)
        except Exception:  # noqa: BLE001 - as above
            is_safe = False
        return record if is_safe else self._walked(record)

    def emptied(self, record: Record, _error: Exception) -> Record:
        """Return what replaces a record that cannot be read: itself, for the exporter to report."""
        return record

    def is_safe(self, record: Record) -> bool:
        """Fast check: is the record safe as it is? Then its attributes are marked so.

        Args:
            record: Any record; one with attributes that are not `PlainAttributes` is not.
        """
        attributes = record.attributes
        if type(attributes) is not PlainAttributes or self.known is None or record.extra:
            return False
        if not self.has_safe_names(record):
            return False
        check, status = FastCheck(self.known, self.is_clean_key), record.status
        return (
            (status is None or not status.description or check.size_of(status.description) >= 0)
            and (not record.events or check.are_safe_parts(record.events))
            and (not record.links or check.are_safe_parts(record.links))
            and check.are_safe(attributes)
        )

    def has_safe_names(self, record: Record) -> bool:
        """Whether all that is not the user's data is safe."""
        for name in (record.name, record.logger, record.level):
            if type(name) is not str or len(name) > _LONGEST_NAME:
                return False
            if not (name.isascii() or is_utf8(name)):
                return False
        return True

    def is_clean_key(self, key: object) -> bool:
        """Whether a new key of the user's data needs nothing; remembered if so."""
        if type(key) is not str or key == META_KEY or not is_utf8(key):
            return False
        if len(key) <= _LONGEST_KEY:
            if len(self._keys) >= _MAX_KEYS:
                self._keys.clear()
            self._keys[key] = True
        return True

    def walker(self, work: int, prefix: str = "") -> Walker:
        """Return a walker with a budget of its own.

        Args:
            work: The budget.
            prefix: What precedes its paths, for a callback.
        """
        return Walker(Budget(work))

    def process(self, process: Process) -> Process:
        """Return the process that records of `process` name; here itself."""
        return process

    def _walked(self, record: Record) -> Record:
        """Return `record` with all its values made safe."""
        # What may be large has a budget of its own, so that it leaves room for the rest.
        text = self.walker(WORK // 4).text
        attributes = self._fields(record.attributes, self.walker(WORK), MAX_LINE_BYTES)
        return record._replace(
            name=text("name", record.name),
            call_site=self.call_site(record.call_site, text),
            attributes=attributes,
            links=record.links and _bounded(record.links, self._plain_link()),
            context=self.context(record.context, text),
            events=record.events and _bounded(record.events, self._plain_event()),
            thread=self.named(record.thread, "thread.name", text),
            task=self.named(record.task, "task.name", text),
            status=_status(record.status, text),
            level=text("level", record.level),
            logger=text("logger", record.logger),
            extra=self.further(record) if record.extra else record.extra,
        )

    def _fields(
        self, attributes: Mapping[str, object], walker: Walker, budget: int, *, notes: bool = True
    ) -> PlainAttributes:
        fields, size, nested = plain_fields(attributes, walker, budget, notes=notes)
        plain = PlainAttributes(fields)
        plain.size, plain.nested, plain.by = size, nested, self
        return plain

    def _plain_link(self) -> Callable[[Link], Link]:
        walker = self.walker(WORK // 8, "links.")
        return lambda link: link._replace(
            attributes=self._fields(link.attributes, walker, _MAX_PART),
            context=self.context(link.context, walker.text),
        )

    def _plain_event(self) -> Callable[[SpanEvent], SpanEvent]:
        walker = self.walker(WORK // 2, "events.")
        return lambda event: event._replace(
            name=walker.text("name", event.name),
            attributes=self._fields(event.attributes, walker, _MAX_PART),
        )

    def call_site(self, call_site: CallSite, _text: Callable[[str, object], str]) -> CallSite:
        """Return a call site without secrets; here itself."""
        return call_site

    def context(
        self, context: TraceContext | None, _text: Callable[[str, object], str]
    ) -> TraceContext | None:
        """Return a context without secrets in its trace state; here itself."""
        return context

    def named(
        self, info: Named | None, _path: str, _text: Callable[[str, object], str]
    ) -> Named | None:
        """Return a thread or task without secrets in its name; here itself."""
        return info

    def further(self, record: Record) -> PlainAttributes:
        """Return the metadata that only some records have, as plain data."""
        # Without a note: the format allows only known keys here.
        return self._fields(record.extra, self.walker(WORK // 4), _MAX_PART, notes=False)


def _status(status: Status | None, text: Callable[[str, object], str]) -> Status | None:
    if status is None or not status.description:
        return status
    return status._replace(description=text("status.description", status.description))


def _bounded(items: tuple[Item, ...], plain: Callable[[Item], Item]) -> tuple[Item, ...]:
    """Return links or events made plain; the last one counts those that do not fit."""
    kept: list[Item] = []
    room = _MAX_PART - _COUNT
    for number, item in enumerate(items, 1):
        made = plain(item)
        if number == len(items):
            room += _COUNT
        name_size = len(encode_text(getattr(made, "name", "")))
        size = ITEM_BYTES + name_size + cast("PlainAttributes", made.attributes).size
        if size >= room:
            made = made._replace(attributes=_note(f"{size} bytes"))
            size = ITEM_BYTES + name_size + ITEM_BYTES
        if size >= room:
            kept.append(count_of(made, len(items) - len(kept)))
            break
        room -= size
        kept.append(made)
    return tuple(kept)


def _note(what: str) -> PlainAttributes:
    return marked_safe({"…": f"<left out: {what}>"})


def count_of(first: Item, number: int) -> Item:
    """Return the link or event that counts what is left out.

    Args:
        first: The first one left out.
        number: How many there are.
    """
    if isinstance(first, SpanEvent):
        return first._replace(name="…", attributes=_note(f"{number} events"))
    return first._replace(attributes=_note(f"{number} links"))


def marked_safe(attributes: Mapping[str, object]) -> PlainAttributes:
    """Return attributes that are known to be plain, as those of a sanitised record."""
    plain = PlainAttributes(attributes)
    plain.size = ITEM_BYTES
    return plain


class _Raw(Sanitiser):
    """Leaves records as they are."""

    def is_safe(self, record: Record) -> bool:
        return True


PLAIN: Final = Sanitiser()
"""Makes records safe, but keeps their secrets."""
_RAW: Final = _Raw()
_RAW.use(None)


def sanitised(record: Record) -> Record:
    """Return a record that a sanitiser has made safe as it is, any other made safe by `PLAIN`."""
    attributes = record.attributes
    is_marked = type(attributes) is PlainAttributes and attributes.is_sanitised
    return record if is_marked else PLAIN.sanitise(record)


def sanitiser_for(exporter: object) -> Sanitiser:
    """Return the sanitiser of records for an exporter, without a redactor.

    Args:
        exporter: One with the attribute `needs_raw_records = True` gets records as they are,
            since it sanitises them itself: data made plain no longer shows all secrets.
    """
    return _RAW if getattr(exporter, "needs_raw_records", False) is True else PLAIN
