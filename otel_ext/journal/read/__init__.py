"""Reads journals and their ring buffers."""

from __future__ import annotations
