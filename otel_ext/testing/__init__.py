"""For tests: capture records, count ids one by one, and set the clock.

With pytest, the same as fixtures::

    pytest_plugins = ["otel_ext.testing.fixtures"]
"""

from __future__ import annotations

from otel_ext.testing.capture import RecordCapture
from otel_ext.testing.clock import FakeClock
from otel_ext.testing.ids import SequentialIdGenerator

__all__ = ["FakeClock", "RecordCapture", "SequentialIdGenerator"]
