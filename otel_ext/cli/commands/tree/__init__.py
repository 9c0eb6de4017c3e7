"""`otel-ext tree`: shows traces as trees."""

from __future__ import annotations

from otel_ext.cli.commands.tree.command import register, run

__all__ = ["register", "run"]
