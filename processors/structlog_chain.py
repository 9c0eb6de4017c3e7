"""What structlog's configuration holds: whose chain it is, and who exports records there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, cast

import structlog
from structlog.processors import StackInfoRenderer, TimeStamper, add_log_level
from structlog.stdlib import ProcessorFormatter

from otel_ext.processors.log_recorder import LogRecorder
from otel_ext.processors.tracer_meta import TracerMetaRenderer, TracerMetaTap

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "SetupRenderer",
    "SetupTap",
    "exports_records",
    "formatter_exports",
    "is_official",
    "is_officially_instrumented",
    "is_unconfigured",
    "prints",
]

_OFFICIAL: Final = "opentelemetry.instrumentation.structlog"
# The chain that structlog starts with (https://www.structlog.org/en/stable/configuration.html).
_DEFAULTS: Final[tuple[object, ...]] = (
    structlog.contextvars.merge_contextvars,
    add_log_level,
    StackInfoRenderer,
    structlog.dev.set_exc_info,
    TimeStamper,
    structlog.dev.ConsoleRenderer,
)


class SetupRenderer(TracerMetaRenderer):
    """Ends a chain that `configure_structlog` made; the type tells it from a program's own."""


class SetupTap(TracerMetaTap):
    """The same, for a chain that prints by another renderer."""


def is_officially_instrumented() -> bool:
    """Return whether `opentelemetry-instrumentation-structlog` takes structlog's events.

    They then go to OpenTelemetry's log exporters by that way already.
    """
    return any(map(is_official, structlog.get_config()["processors"]))


def is_official(processor: object) -> bool:
    """Whether `processor` is the official instrumentation's, known without importing it."""
    return type(processor).__module__.startswith(_OFFICIAL)


def is_unconfigured() -> bool:
    """Whether nobody but this module or the official instrumentation set structlog up."""
    if not structlog.is_configured():
        return True
    chain: list[object] = structlog.get_config()["processors"]
    chain = [one for one in chain if not is_official(one)]
    if chain and isinstance(chain[-1], (SetupRenderer, SetupTap)):
        return True
    if len(chain) != len(_DEFAULTS):
        return False
    return all(default in (one, type(one)) for one, default in zip(chain, _DEFAULTS, strict=True))


def exports_records(processors: Iterable[object]) -> bool:
    """Whether a processor of ours among `processors`, or behind `logging`, exports records."""
    return any(
        isinstance(one, LogRecorder) and one.exporter is not None for one in processors
    ) or formatter_exports(logging.getLogger())


def formatter_exports(root: logging.Logger) -> bool:
    """Whether a handler of the program's own exports records, by its `ProcessorFormatter`."""
    formatters = (handler.formatter for handler in root.handlers)
    return any(
        isinstance(one, LogRecorder) and one.exporter is not None
        for formatter in formatters
        if isinstance(formatter, ProcessorFormatter)
        for one in cast("Iterable[object]", formatter.processors)
    )


def prints(handler: logging.Handler) -> bool:
    """Whether `handler` shows logs; the one of OpenTelemetry only sends them."""
    return not type(handler).__module__.startswith("opentelemetry.")
