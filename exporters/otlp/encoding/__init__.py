"""Turns records into OTLP spans, logs and events."""

from __future__ import annotations
