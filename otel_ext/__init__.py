"""See OpenTelemetry spans the moment they start, and keep them when the process dies.

Names are imported on first use, so that `import otel_ext` costs a program next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.config import compat_mode, get_config, set_compat_mode
    from otel_ext.context.auto import auto_span
    from otel_ext.context.carrier import propagate_context, with_propagated_context
    from otel_ext.context.error_context import with_context
    from otel_ext.context.handover import traced_executor
    from otel_ext.context.manual import current_span, end_span, start_span
    from otel_ext.context.outcome import mark_failure
    from otel_ext.context.spans import with_span
    from otel_ext.context.trace import trace_context
    from otel_ext.events.bus import subscribe
    from otel_ext.inflight.table import OpenSpan, open_spans
    from otel_ext.inflight.tracker import dump
    from otel_ext.pipeline import configure
    from otel_ext.runtime.health import Health, health
    from otel_ext.setup.handle import Handle
    from otel_ext.setup.structlog import configure_structlog
    from otel_ext.structured.structured_trace import StructuredTrace

    __version__: str

__all__ = [
    "Handle",
    "Health",
    "OpenSpan",
    "StructuredTrace",
    "__version__",
    "auto_span",
    "compat_mode",
    "configure",
    "configure_structlog",
    "current_span",
    "dump",
    "end_span",
    "get_config",
    "health",
    "mark_failure",
    "open_spans",
    "propagate_context",
    "set_compat_mode",
    "start_span",
    "subscribe",
    "trace_context",
    "traced_executor",
    "with_context",
    "with_propagated_context",
    "with_span",
]

_MODULES = {
    "Handle": "otel_ext.setup.handle",
    "Health": "otel_ext.runtime.health",
    "OpenSpan": "otel_ext.inflight.table",
    "StructuredTrace": "otel_ext.structured.structured_trace",
    "auto_span": "otel_ext.context.auto",
    "compat_mode": "otel_ext.config",
    "configure": "otel_ext.pipeline",
    "configure_structlog": "otel_ext.setup.structlog",
    "current_span": "otel_ext.context.manual",
    "dump": "otel_ext.inflight.tracker",
    "end_span": "otel_ext.context.manual",
    "get_config": "otel_ext.config",
    "health": "otel_ext.runtime.health",
    "mark_failure": "otel_ext.context.outcome",
    "open_spans": "otel_ext.inflight.table",
    "propagate_context": "otel_ext.context.carrier",
    "set_compat_mode": "otel_ext.config",
    "start_span": "otel_ext.context.manual",
    "subscribe": "otel_ext.events.bus",
    "trace_context": "otel_ext.context.trace",
    "traced_executor": "otel_ext.context.handover",
    "with_context": "otel_ext.context.error_context",
    "with_propagated_context": "otel_ext.context.carrier",
    "with_span": "otel_ext.context.spans",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow to import

        return version("otel-ext")
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
