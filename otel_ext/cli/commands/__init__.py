"""The subcommands of `otel-ext`: one module or package each."""

from __future__ import annotations
