"""Span processors, structlog processors and the bridge from `logging`."""

from __future__ import annotations

from otel_ext.processors.lifecycle import LifecycleSpanProcessor

__all__ = ["LifecycleSpanProcessor"]
