"""Switches on OpenTelemetry instrumentations when their libraries are imported."""

from __future__ import annotations

from otel_ext.instrumentors.on_import import instrument_libraries

__all__ = ["instrument_libraries"]
