"""Helpers for the tests of structlog: an exporter that keeps records, loggers that return lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import structlog

if TYPE_CHECKING:
    from otel_ext.record.model import Record

META = "__tracer_meta__"


class Kept:
    """An exporter that keeps its records."""

    never_waits = True

    def __init__(self) -> None:
        self.records: list[Record] = []

    @property
    def names(self) -> list[str]:
        """The names of the kept records."""
        return [record.name for record in self.records]

    def export(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(record)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True, as no record waits."""
        return timeout_millis > 0

    def shutdown(self) -> None:
        """Do nothing."""


def logger(*processors: object, name: str | None = None) -> Any:  # noqa: ANN401 - as structlog's
    """Return a logger whose methods return the result of the last processor."""
    returning = structlog.ReturnLogger()
    if name is not None:
        returning.name = name  # type: ignore[attr-defined]
    return structlog.wrap_logger(
        returning,
        processors=list(processors),  # type: ignore[arg-type]
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )


def drop(*_: object) -> NoReturn:
    """Drop every event; a structlog processor."""
    raise structlog.DropEvent


def fail(error: Exception) -> NoReturn:
    """Raise `error`, so that its traceback has a function of its own."""
    raise error
