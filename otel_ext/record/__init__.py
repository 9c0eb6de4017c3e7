"""What a record is, how it is taken from a span, and how it becomes a line and back."""

from __future__ import annotations
