"""`otel-ext doctor`: checks an installation and its records."""

from __future__ import annotations

from otel_ext.cli.commands.doctor.command import register, run

__all__ = ["register", "run"]
