"""Events: subscribe to the start and stop of spans, and emit your own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.events.bus import emit, subscribe
    from otel_ext.events.event import RECORD_EVENTS, Event
    from otel_ext.events.recording import record_event
    from otel_ext.events.sampled import SampledEvents
    from otel_ext.events.subscription import Subscription

__all__ = [
    "RECORD_EVENTS",
    "Event",
    "SampledEvents",
    "Subscription",
    "emit",
    "record_event",
    "subscribe",
]

_MODULES = {
    "RECORD_EVENTS": "otel_ext.events.event",
    "Event": "otel_ext.events.event",
    "SampledEvents": "otel_ext.events.sampled",
    "Subscription": "otel_ext.events.subscription",
    "emit": "otel_ext.events.bus",
    "record_event": "otel_ext.events.recording",
    "subscribe": "otel_ext.events.bus",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
