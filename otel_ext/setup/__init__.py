"""The steps of `configure()`: tracer provider, ids, handle, logs."""

from __future__ import annotations
