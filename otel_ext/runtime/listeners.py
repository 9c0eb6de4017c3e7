"""Passes each exported record to the parts of this process that listen.

The event bus and trace buffers listen. While nothing does, processors export exactly as
they would without this module: each registers a method that is called when that changes.
No lock is taken, since a signal handler or a finalizer may record something anywhere.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.weak_method import WeakMethods

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import Record

__all__ = ["LISTENERS", "Listener", "RecordListeners"]

Listener: TypeAlias = "Callable[[Record], object]"
"""Called with each record on the thread that made it, so it must be quick."""

# How many spans are remembered, to know which of several processors reports them.
_MAX_REMEMBERED: Final = 10_000


class RecordListeners:
    """The listeners of this process, and the processors that call them.

    >>> listeners = RecordListeners()
    >>> heard = []
    >>> listeners.add(heard.append)
    >>> from otel_ext.record.model import Process, Record
    >>> listeners.pass_on(Record("log", None, "stored", 0, 1, Process("p")), heard)
    >>> [record.name for record in heard]
    ['stored']
    >>> listeners.remove(heard.append)
    >>> listeners.active
    ()
    """

    def __init__(self) -> None:
        self.active: tuple[Listener, ...] = ()
        self._added: dict[Listener, None] = {}
        self._sources = WeakMethods()
        self._reported_by: dict[tuple[str, str], int] = {}

    def add(self, listener: Listener) -> None:
        """Pass all records from now on to `listener`, which no record may harm or delay."""
        self._added[listener] = None
        self._publish()

    def remove(self, listener: Listener) -> None:
        """Pass no more records to `listener`."""
        self._added.pop(listener, None)
        self._publish()

    def add_source(self, changed: Callable[[], None]) -> None:
        """Call a processor's method `changed` whenever `active` changes."""
        self._sources.add(changed)

    def has_sources(self) -> bool:
        """Whether a processor exists that passes records on."""
        return any(True for _ in self._sources.living())

    def pass_on(self, record: Record, source: object) -> None:
        """Call the listeners with `record`; never raises.

        With several processors, each span and event is reported by the first of them.

        Args:
            record: A sanitised record that has been exported.
            source: The processor that made it.
        """
        key = _key_of(record) if len(self._sources) > 1 else None
        if key is not None:
            remembered = self._reported_by
            if remembered.setdefault(key, id(source)) != id(source):
                return
            if len(remembered) > _MAX_REMEMBERED:
                # Unless another thread changes it meanwhile: the next span tries again.
                with suppress(RuntimeError, StopIteration):
                    remembered.pop(next(iter(remembered)), None)
        for listener in self.active:
            try:
                listener(record)
            except Exception as error:  # noqa: BLE001 - the others must hear of it
                report_problem("a listener to records failed", error)

    def _publish(self) -> None:
        # Another thread may add or remove one at the same time: repeat until all agree.
        while True:
            self.active = now = tuple(self._added)
            for changed in self._sources.living():
                changed()
            if tuple(self._added) == now:
                return


def _key_of(record: Record) -> tuple[str, str] | None:
    """Return what several processors report alike; None for a record that only one has."""
    if record.kind == "event":
        return record.process.id, str(record.seq)
    return record.key if record.span_id and record.phase is not None else None


LISTENERS: Final = RecordListeners()
"""The listeners of this process."""
