"""Tracks open spans: their owners, abandoned ones, stalled ones, and the heartbeat."""

from __future__ import annotations

from otel_ext.inflight.heartbeat import Heartbeat
from otel_ext.inflight.reaper import Reaper
from otel_ext.inflight.table import InflightTable, OpenSpan, open_spans, span_key
from otel_ext.inflight.tracker import InflightSettings, Tracker, dump
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
