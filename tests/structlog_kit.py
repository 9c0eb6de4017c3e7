"""Helpers for the tests of structlog: an exporter that keeps records, loggers that return lines."""

from __future__ import annotations

from typing import Any, NoReturn

import structlog

from otel_ext.testing import RecordCapture

META = "__tracer_meta__"


class Kept(RecordCapture):
    """An exporter that keeps its records."""

    @property
    def names(self) -> list[str]:
        """The names of the kept records."""
        return [record.name for record in self.records]


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
