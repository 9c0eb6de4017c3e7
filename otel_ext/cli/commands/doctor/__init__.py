"""`otel-ext doctor`: checks an installation and its records."""

from __future__ import annotations

from otel_ext.cli.commands.doctor.command import run, set_up

__all__ = ["run", "set_up"]
