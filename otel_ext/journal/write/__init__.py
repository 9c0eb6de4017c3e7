"""Writes the journal of one process: files and ring buffer."""

from __future__ import annotations
