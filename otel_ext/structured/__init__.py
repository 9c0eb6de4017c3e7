"""Structured traces: spans for programs that have a flat trace, and for pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.structured.pipeline import Pipeline, PipelineStage
    from otel_ext.structured.pipeline_result import Ended, PipelineResult, Skipped
    from otel_ext.structured.span_block import SpanBlock
    from otel_ext.structured.structured_trace import StructuredTrace
    from otel_ext.structured.trace_log import TraceEntry, TraceLog
    from otel_ext.structured.trace_span import TraceSpan

__all__ = [
    "Ended",
    "Pipeline",
    "PipelineResult",
    "PipelineStage",
    "Skipped",
    "SpanBlock",
    "StructuredTrace",
    "TraceEntry",
    "TraceLog",
    "TraceSpan",
]

_MODULES = {
    "Ended": "otel_ext.structured.pipeline_result",
    "Pipeline": "otel_ext.structured.pipeline",
    "PipelineResult": "otel_ext.structured.pipeline_result",
    "PipelineStage": "otel_ext.structured.pipeline",
    "Skipped": "otel_ext.structured.pipeline_result",
    "SpanBlock": "otel_ext.structured.span_block",
    "StructuredTrace": "otel_ext.structured.structured_trace",
    "TraceEntry": "otel_ext.structured.trace_log",
    "TraceLog": "otel_ext.structured.trace_log",
    "TraceSpan": "otel_ext.structured.trace_span",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
