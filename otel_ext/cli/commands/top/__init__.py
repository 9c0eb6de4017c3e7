"""`otel-ext top`: a live view of the spans that run now."""

from __future__ import annotations

from otel_ext.cli.commands.top.command import register, run

__all__ = ["register", "run"]
