"""`otel-ext top`: a live view of the spans that run now."""

from __future__ import annotations

from otel_ext.cli.commands.top.command import run, set_up

__all__ = ["run", "set_up"]
