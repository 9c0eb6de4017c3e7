"""Sample records for tests, and small exporters that keep records, raise, or hang."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NoReturn

from otel_ext.record.model import CallSite, Record, Scope, Status, TaskInfo, ThreadInfo
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Process

TRACE = "0123456789abcdef0123456789abcdef"
MAIN = ThreadInfo(1, "MainThread")


def own_process() -> Process:
    """Return this process, as in its records."""
    return incarnation.current().process_for(None)


def start(name: str = "load", number: int = 1, **fields: Any) -> Record:  # noqa: ANN401 - any field of a record
    """Return the start record of span `number`."""
    made = Record(
        kind="span",
        phase="start",
        name=name,
        time_ns=1_792_000_000_000_000_000,
        seq=number,
        process=own_process(),
        call_site=CallSite("app.py", 3, "main"),
        trace_id=TRACE,
        span_id=f"{number:016x}",
        span_kind="internal",
        scope=Scope("tests", "1.0"),
        thread=MAIN,
    )
    return made._replace(**fields)


def end(name: str = "load", number: int = 1, took: int = 12_345_678, **fields: Any) -> Record:  # noqa: ANN401 - any field of a record
    """Return the final record of span `number`, `took` nanoseconds after its start."""
    begun = start(name, number)
    made = begun._replace(
        phase="end",
        time_ns=begun.time_ns + took,
        start_ns=begun.time_ns,
        status=Status("unset"),
    )
    return made._replace(**fields)


def log(name: str = "told", level: str = "info", **fields: Any) -> Record:  # noqa: ANN401 - any field of a record
    """Return a log record."""
    made = Record("log", None, name, 1_792_000_000_000_000_000, 9, own_process(), level=level)
    return made._replace(**fields)


def task(number: int) -> TaskInfo:
    """Return the description of an asyncio task."""
    return TaskInfo(number, f"Task-{number}")


class Noting:
    """An exporter that keeps its records and counts calls."""

    never_waits = True

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.flushes: list[int] = []
        self.shutdowns = 0

    def export(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(record)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Note the flush."""
        self.flushes.append(timeout_millis)
        return True

    def shutdown(self) -> None:
        """Note the shutdown."""
        self.shutdowns += 1

    @property
    def events(self) -> list[str]:
        """The `event` texts of all records, in order."""
        return [record.event for record in self.records]


class SpoiltError(Exception):
    """The error of a `Spoilt` exporter."""


class Spoilt(Noting):
    """An exporter of which every call raises."""

    def export(self, record: Record) -> NoReturn:
        """Raise."""
        raise SpoiltError(record.event)

    def force_flush(self, timeout_millis: int = 30_000) -> NoReturn:
        """Raise."""
        raise SpoiltError(timeout_millis)

    def shutdown(self) -> NoReturn:
        """Raise."""
        raise SpoiltError


class Hanging(Noting):
    """An exporter whose flush and shutdown hang until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hang, whatever the timeout."""
        super().force_flush(timeout_millis)
        return self.released.wait()

    def shutdown(self) -> None:
        """Hang."""
        super().shutdown()
        self.released.wait()


class Counted:
    """Returns by how much counters have changed since it was created.

    Other exporters of the process change them too, also late ones of earlier tests, so
    complete counts are compared in a separate program.
    """

    def __init__(self) -> None:
        self._before: Mapping[str, int] = COUNTERS.snapshot()

    def __call__(self, name: str) -> int:
        """Return by how much the counter `name` has changed."""
        return COUNTERS.value(name) - self._before.get(name, 0)

    @property
    def dropped(self) -> int:
        """By how much all `dropped.` counters together have changed."""
        return sum(self(f"dropped.{reason}") for reason in COUNTERS.dropped())
