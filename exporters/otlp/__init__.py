"""Exports records over OTLP."""

from __future__ import annotations
