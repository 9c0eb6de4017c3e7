"""Spans that have started and not ended: who owns them, who gives them up, where they hang."""

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
