"""Examines structlog's configuration: who set the chain, and which processors export records."""

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
    """Ends a chain that `configure_structlog` made; the type distinguishes it from a program's."""


class SetupTap(TracerMetaTap):
    """The same for a chain that prints with another renderer."""


def is_official(processor: object) -> bool:
    """Whether `processor` is the official instrumentation's, without importing that.

    It sends structlog's events to OpenTelemetry's log exporters already.
    """
    return type(processor).__module__.startswith(_OFFICIAL)


def is_unconfigured() -> bool:
    """Whether the program has not configured structlog itself.

    The chain is then structlog's default, `configure_structlog`'s or the official
    instrumentation's.
    """
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
    """Whether a `LogRecorder` in `processors`, or in a formatter of `logging`, exports records."""
    return any(
        isinstance(one, LogRecorder) and one.exporter is not None for one in processors
    ) or formatter_exports(logging.getLogger())


def formatter_exports(root: logging.Logger) -> bool:
    """Whether a handler of `root` exports records through its `ProcessorFormatter`."""
    formatters = (handler.formatter for handler in root.handlers)
    return any(
        isinstance(one, LogRecorder) and one.exporter is not None
        for formatter in formatters
        if isinstance(formatter, ProcessorFormatter)
        for one in cast("Iterable[object]", formatter.processors)
    )


def prints(handler: logging.Handler) -> bool:
    """Whether `handler` prints logs; OpenTelemetry's handler only sends them."""
    return not type(handler).__module__.startswith("opentelemetry.")
