"""Ends the spans of dead processes, and deletes old segments."""

from __future__ import annotations
