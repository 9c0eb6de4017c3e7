"""`otel-ext validate`: checks files of records line by line."""

from __future__ import annotations

from otel_ext.cli.commands.validate.command import run, set_up

__all__ = ["run", "set_up"]
