"""`otel-ext tree`: shows traces as trees."""

from __future__ import annotations

from otel_ext.cli.commands.tree.command import run, set_up

__all__ = ["run", "set_up"]
