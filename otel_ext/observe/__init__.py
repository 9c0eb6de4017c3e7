"""Reads what runs now: open spans, their processes, liveness and stacks."""

from __future__ import annotations
