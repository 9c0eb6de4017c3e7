"""What people see of traces: trees and waterfalls in the terminal, and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.views.report import write_report

__all__ = [
    "write_report",
]

_MODULES = {
    "write_report": "otel_ext.views.report",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
