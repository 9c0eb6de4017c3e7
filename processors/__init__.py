"""Span processors and structlog processors, one behaviour a module."""

from __future__ import annotations

from otel_ext.processors.lifecycle import LifecycleSpanProcessor

__all__ = ["LifecycleSpanProcessor"]
