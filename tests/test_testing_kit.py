"""`otel_ext.testing`: capture, ids, clock, and the fixtures for pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.testing import FakeClock, RecordCapture, SequentialIdGenerator
from tests.processors.spans import provider_with
from tests.programs import python, succeed, write_program
from tests.threads import in_threads

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.trace import Tracer

USERS_TEST = """
pytest_plugins = ["otel_ext.testing.fixtures"]

def test_fixtures(otel_ext_tracer, otel_ext_provider, otel_ext_records, otel_ext_clock):
    with otel_ext_clock.span(otel_ext_tracer, "order", attributes={"n": 1}):
        assert [record.name for record in otel_ext_records.open] == ["order"]
        otel_ext_clock.advance(2)
    start, end = otel_ext_records.of("order")
    assert (end.trace_id, end.span_id) == (f"{1:032x}", f"{1:016x}")
    assert (start.attributes, end.time_ns - end.start_ns) == ({"n": 1}, 2_000_000_000)

def test_each_test_has_its_own_records(otel_ext_tracer, otel_ext_records):
    assert otel_ext_records.records == []
    otel_ext_tracer.start_span("other").end()
    assert otel_ext_records.of("other")[0].span_id == f"{1:016x}"

def test_services(otel_ext_services):
    otel_ext_services.register("db", "a pool")

def test_each_test_has_its_own_services(otel_ext_services):
    assert otel_ext_services.names() == []
"""


def captured() -> tuple[Tracer, RecordCapture]:
    """Return a tracer and its records."""
    capture = RecordCapture()
    provider = provider_with(capture, id_generator=SequentialIdGenerator())
    return provider.get_tracer("kit"), capture


def test_capture_has_open_and_ended_spans() -> None:
    """Start and end of a span are found by its name; an open one is in `open`."""
    tracer, capture = captured()
    outer = tracer.start_span("outer")
    tracer.start_span("inner").end()
    assert [record.name for record in capture.open] == ["outer"]
    start, end = capture.of("inner")
    assert (start.phase, end.phase) == ("start", "end")
    with pytest.raises(LookupError, match="'outer' has 1 starts and 0 ends; recorded: outer.start"):
        capture.of("outer")
    outer.end()
    assert capture.open == []
    capture.clear()
    with pytest.raises(LookupError, match="recorded: nothing"):
        capture.of("inner")


def test_a_name_used_twice_is_an_error() -> None:
    """For two spans with one name, `of` raises instead of returning one of them."""
    tracer, capture = captured()
    for _ in range(2):
        tracer.start_span("job").end()
    with pytest.raises(LookupError, match="has 2 starts and 2 ends"):
        capture.of("job")


def test_ids_are_unique_across_threads() -> None:
    """Threads that share a generator get different ids, without gaps."""
    ids = SequentialIdGenerator()
    drawn: list[int] = []
    in_threads(*[lambda: drawn.extend(ids.generate_span_id() for _ in range(2_000))] * 4)
    assert sorted(drawn) == list(range(1, 8_001))
    assert (ids.generate_trace_id(), ids.generate_trace_id()) == (1, 2)


def test_the_clock_stands_still_until_advanced() -> None:
    """Times and durations are those that the test sets, and the clock does not go back."""
    clock = FakeClock(start_ns=5_000_000_000)
    assert (clock.time_ns(), clock.monotonic()) == (5_000_000_000, 5.0)
    clock.advance(0.25)
    assert clock.time_ns() == 5_250_000_000
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_an_exception_passes_through_the_clocks_span() -> None:
    """The span ends at the clock's time and has the exception, which is raised on."""
    tracer, capture = captured()
    clock = FakeClock()

    def fail() -> None:
        clock.advance(3)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), clock.span(tracer, "job"):
        fail()
    _, end = capture.of("job")
    assert end.time_ns - end.start_ns == 3_000_000_000
    assert end.status is not None
    assert end.status.code == "error"
    assert [event.name for event in end.events] == ["exception"]


def test_the_fixtures_work_in_a_users_suite(tmp_path: Path) -> None:
    """Each test of a user has its own records, ids, clock and services."""
    program = write_program(tmp_path, USERS_TEST, "test_users.py")
    command = python("-m", "pytest", "-q", "-p", "no:cacheprovider", program)
    # Plugins of other packages are not needed and take a second to import.
    done = succeed(command, tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert "4 passed" in done.out
