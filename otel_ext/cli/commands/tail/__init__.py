"""`otel-ext tail`: follows records as they are written."""

from __future__ import annotations

from otel_ext.cli.commands.tail.command import run, set_up

__all__ = ["run", "set_up"]
