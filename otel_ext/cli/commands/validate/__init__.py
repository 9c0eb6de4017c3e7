"""`otel-ext validate`: checks files of records line by line."""

from __future__ import annotations

from otel_ext.cli.commands.validate.command import register, run

__all__ = ["register", "run"]
