"""Exports records by OTLP."""

from __future__ import annotations
