"""Starts, supervises and summarises the program that `otel-ext run` runs."""

from __future__ import annotations
