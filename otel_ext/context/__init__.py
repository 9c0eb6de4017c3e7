"""Spans by hand, and keeping the context: in threads, tasks, processes, logs and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.context import error_context
    from otel_ext.context.auto import auto_span
    from otel_ext.context.buffered_logger import BufferedLogger
    from otel_ext.context.carrier import (
        context_environment,
        propagate_context,
        with_propagated_context,
    )
    from otel_ext.context.checkpoints.reading import Checkpoint, last_checkpoint
    from otel_ext.context.checkpoints.resumption import Resumption, resume
    from otel_ext.context.checkpoints.writing import checkpoint
    from otel_ext.context.error_context import with_context
    from otel_ext.context.handover import carried, traced_executor
    from otel_ext.context.manual import current_span, end_span, start_span
    from otel_ext.context.outcome import Failure, mark_failure
    from otel_ext.context.spans import with_span
    from otel_ext.context.trace import Trace, trace_context

__all__ = [
    "BufferedLogger",
    "Checkpoint",
    "Failure",
    "Resumption",
    "Trace",
    "auto_span",
    "carried",
    "checkpoint",
    "context_environment",
    "current_span",
    "end_span",
    "error_context",
    "last_checkpoint",
    "mark_failure",
    "propagate_context",
    "resume",
    "start_span",
    "trace_context",
    "traced_executor",
    "with_context",
    "with_propagated_context",
    "with_span",
]

_MODULES = {
    "BufferedLogger": "otel_ext.context.buffered_logger",
    "Checkpoint": "otel_ext.context.checkpoints.reading",
    "Failure": "otel_ext.context.outcome",
    "Resumption": "otel_ext.context.checkpoints.resumption",
    "Trace": "otel_ext.context.trace",
    "auto_span": "otel_ext.context.auto",
    "carried": "otel_ext.context.handover",
    "checkpoint": "otel_ext.context.checkpoints.writing",
    "context_environment": "otel_ext.context.carrier",
    "current_span": "otel_ext.context.manual",
    "end_span": "otel_ext.context.manual",
    "error_context": "otel_ext.context.error_context",
    "last_checkpoint": "otel_ext.context.checkpoints.reading",
    "mark_failure": "otel_ext.context.outcome",
    "propagate_context": "otel_ext.context.carrier",
    "resume": "otel_ext.context.checkpoints.resumption",
    "start_span": "otel_ext.context.manual",
    "trace_context": "otel_ext.context.trace",
    "traced_executor": "otel_ext.context.handover",
    "with_context": "otel_ext.context.error_context",
    "with_propagated_context": "otel_ext.context.carrier",
    "with_span": "otel_ext.context.spans",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
