"""Draws on a terminal: safe texts, colors and marks, tables, trees, and lines of output."""

from __future__ import annotations
