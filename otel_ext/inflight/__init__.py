"""Tracks open spans: their owners, abandoned ones, stalled ones, and the heartbeat."""

from __future__ import annotations
