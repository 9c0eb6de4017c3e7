"""Shows records in a terminal, or prints them as JSON lines."""

from __future__ import annotations
