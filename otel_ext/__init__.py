"""See OpenTelemetry spans the moment they start, and keep them when the process dies.

Names are imported on first use, so that `import otel_ext` costs a program next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.config import compat_mode, get_config, set_compat_mode
    from otel_ext.inflight.table import OpenSpan, open_spans
    from otel_ext.inflight.tracker import dump
    from otel_ext.pipeline import configure
    from otel_ext.runtime.health import Health, health
    from otel_ext.setup.handle import Handle
    from otel_ext.setup.structlog import configure_structlog

    __version__: str

__all__ = [
    "Handle",
    "Health",
    "OpenSpan",
    "__version__",
    "compat_mode",
    "configure",
    "configure_structlog",
    "dump",
    "get_config",
    "health",
    "open_spans",
    "set_compat_mode",
]

_MODULES = {
    "Handle": "otel_ext.setup.handle",
    "Health": "otel_ext.runtime.health",
    "OpenSpan": "otel_ext.inflight.table",
    "compat_mode": "otel_ext.config",
    "configure": "otel_ext.pipeline",
    "configure_structlog": "otel_ext.setup.structlog",
    "dump": "otel_ext.inflight.tracker",
    "get_config": "otel_ext.config",
    "health": "otel_ext.runtime.health",
    "open_spans": "otel_ext.inflight.table",
    "set_compat_mode": "otel_ext.config",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow to import

        return version("otel-ext")
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
