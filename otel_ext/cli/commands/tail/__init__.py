"""`otel-ext tail`: follows records as they are written."""

from __future__ import annotations

from otel_ext.cli.commands.tail.command import register, run

__all__ = ["register", "run"]
