"""Helpers for users' tests: capture records, count ids from 1, and set the clock.

The same as fixtures for pytest::

    pytest_plugins = ["otel_ext.testing.fixtures"]
"""

from __future__ import annotations

from otel_ext.testing.capture import RecordCapture
from otel_ext.testing.clock import FakeClock
from otel_ext.testing.ids import SequentialIdGenerator

__all__ = ["FakeClock", "RecordCapture", "SequentialIdGenerator"]
