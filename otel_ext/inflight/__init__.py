"""Tracks open spans: their owners, abandoned ones, stalled ones, and the heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.inflight.heartbeat import Heartbeat
    from otel_ext.inflight.reaper import Reaper
    from otel_ext.inflight.settings import InflightSettings
    from otel_ext.inflight.table import InflightTable, OpenSpan, open_spans, span_key
    from otel_ext.inflight.tracker import Tracker, dump
    from otel_ext.inflight.watchdog import Watchdog

__all__ = [
    "Heartbeat",
    "InflightSettings",
    "InflightTable",
    "OpenSpan",
    "Reaper",
    "Tracker",
    "Watchdog",
    "dump",
    "open_spans",
    "span_key",
]

_HOMES = {
    "Heartbeat": "otel_ext.inflight.heartbeat",
    "InflightSettings": "otel_ext.inflight.settings",
    "InflightTable": "otel_ext.inflight.table",
    "OpenSpan": "otel_ext.inflight.table",
    "Reaper": "otel_ext.inflight.reaper",
    "Tracker": "otel_ext.inflight.tracker",
    "Watchdog": "otel_ext.inflight.watchdog",
    "dump": "otel_ext.inflight.tracker",
    "open_spans": "otel_ext.inflight.table",
    "span_key": "otel_ext.inflight.table",
}


def __getattr__(name: str) -> object:
    return lazy_name(globals(), _HOMES, name)
