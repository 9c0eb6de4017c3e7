"""`TraceLog`: the flat trace that otel-ext brings."""

from __future__ import annotations

import pytest

from otel_ext.errors import ConfigError
from otel_ext.structured import TraceEntry, TraceLog
from otel_ext.structured.trace_log import LEVELS


def test_each_level_has_a_method() -> None:
    """Each method adds one entry of its name, with message, source, data and time."""
    trace = TraceLog()
    for level in LEVELS:
        assert getattr(trace, level)(f"{level} message", "Service", {"n": 1}) is None
    trace.info("bare")
    trace.add_log("custom", "message", data=[1])
    assert [entry._replace(time_ns=0) for entry in trace.logs] == [
        *(TraceEntry(level, f"{level} message", "Service", {"n": 1}) for level in LEVELS),
        TraceEntry("info", "bare"),
        TraceEntry("custom", "message", data=[1]),
    ]
    times = [entry.time_ns for entry in trace.logs]
    assert times == sorted(times)
    assert times[0] > 0


def test_the_oldest_entries_go_first() -> None:
    """Beyond the limit the oldest entries are dropped and counted."""
    trace = TraceLog(max_logs=3)
    for number in range(5):
        trace.step(str(number))
    assert [entry.message for entry in trace.logs] == ["2", "3", "4"]
    assert trace.dropped_logs == 2


def test_the_limit_is_positive() -> None:
    """A limit that is not a positive number is refused."""
    with pytest.raises(ConfigError, match="max_logs=0 is not a positive number"):
        TraceLog(max_logs=0)
