"""`otel-ext recover`: ends the spans of processes that died."""

from __future__ import annotations

from otel_ext.cli.commands.recover.command import register, run

__all__ = ["register", "run"]
