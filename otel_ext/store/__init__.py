"""Finds recorded events in files and stores; and the store of traces, for the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.observe.event_files import EventFiles
    from otel_ext.observe.event_query import EventPlace, EventQuery, RecordedEvent
    from otel_ext.store.event_finder import EventFinder

__all__ = [
    "EventFiles",
    "EventFinder",
    "EventPlace",
    "EventQuery",
    "RecordedEvent",
]

_MODULES = {
    "EventFiles": "otel_ext.observe.event_files",
    "EventFinder": "otel_ext.store.event_finder",
    "EventPlace": "otel_ext.observe.event_query",
    "EventQuery": "otel_ext.observe.event_query",
    "RecordedEvent": "otel_ext.observe.event_query",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
