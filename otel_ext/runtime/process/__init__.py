"""What a journal knows about its process: start, end, signals, notes of `otel-ext run`."""

from __future__ import annotations
