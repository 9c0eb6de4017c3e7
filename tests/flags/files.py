"""Writes flag files for the tests, and makes providers of them."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from otel_ext.flags.stages import at_stage, new_flag
from otel_ext.runtime.health import health

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["flag_of", "health_of", "in_trace", "staged", "write_flags"]


def staged(stage: int, *percentages: float) -> dict[str, object]:
    """Return a boolean flag at a stage."""
    return at_stage("search", new_flag(), stage, percentages or None)


def write_flags(path: Path, flags: dict[str, Any] | bytes, **rest: object) -> Path:
    """Replace a flag file as a whole, as an editor does; return its path."""
    data = flags if isinstance(flags, bytes) else json.dumps({"flags": flags, **rest}).encode()
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    os.replace(beside, path)  # noqa: PTH105 - as editors do
    return path


@contextmanager
def in_trace(trace_id: int, span_id: int = 1) -> Generator[NonRecordingSpan]:
    """Make a span of a trace of another process the current one."""
    span = NonRecordingSpan(SpanContext(trace_id, span_id, True, TraceFlags(1)))  # noqa: FBT003
    with use_span(span):
        yield span


def health_of(path: Path) -> tuple[str, str]:
    """Return the health of the flags of a file."""
    [part] = [one for one in health().parts if one.name == f"feature flags in {path.name}"]
    return part.state, part.detail


def flag_of(value: object, other: object) -> dict[str, Any]:
    """Return a flag with two values, and the first as its default."""
    return {"state": "ENABLED", "variants": {"a": value, "b": other}, "defaultVariant": "a"}
