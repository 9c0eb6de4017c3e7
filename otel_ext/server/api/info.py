"""What a viewer has to know of the server."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from otel_ext.readable import as_utf8

if TYPE_CHECKING:
    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values

__all__ = ["info"]


def info(context: Context, _: Values | None = None) -> dict[str, object]:
    """Return the version, the folder, the addresses, and how much is stored."""
    about, totals = context.about, context.store.totals()
    editor = {"scheme": about.editor, "roots": [as_utf8(str(root)) for root in about.roots]}
    return {
        "version": version("otel-ext"),
        "folder": as_utf8(str(about.folder)),
        "listening": {
            "otlp_http": about.otlp_http,
            "otlp_grpc": about.otlp_grpc,
            "ui": about.viewer,
        },
        "editor": editor if about.roots else None,
        "traces": totals.traces,
        "spans": totals.spans,
        "since_ns": str(totals.since_ns) if totals.since_ns else None,
    }
