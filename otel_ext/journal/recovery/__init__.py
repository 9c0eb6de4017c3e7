"""Ends the spans of processes that died, and deletes old files."""

from __future__ import annotations
