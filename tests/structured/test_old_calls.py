"""Calls of a flat trace through `StructuredTrace`: as before, and events of the current span."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.context import with_span
from otel_ext.structured import StructuredTrace, TraceLog
from otel_ext.structured.trace_log import LEVELS
from tests.global_provider import as_global, recording_globally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_ext.record.model import SpanEvent
    from otel_ext.testing import RecordCapture


class OldTrace:
    """A flat trace of a program, with signatures and results of its own."""

    limit = 10

    def __init__(self) -> None:
        self.logs: list[tuple[Any, ...]] = []
        self.data = {"not": "a method"}
        self.enabled = True

    def info(self, text: str, *details: object, **facts: object) -> int:
        """Add an entry, and return its number."""
        self.logs.append(("info", text, details, facts))
        return len(self.logs)

    def success(self, *, message: str, source: str | None = None) -> OldTrace:
        """Add an entry; return the trace, for the next call."""
        self.logs.append(("success", message, source))
        return self

    async def step(self, message: str) -> str:
        """Add an entry later."""
        await asyncio.sleep(0)
        self.logs.append(("step", message))
        return message

    def error(self, error: Exception) -> None:
        """Raise it again, as this trace does."""
        self.logs.append(("error", error))
        raise error

    def add_log(self, kind: str, message: str, source: str, data: object = None) -> None:
        """Add an entry of any kind."""
        self.logs.append((kind, message, source, data))

    def summary(self) -> str:
        """Return a text."""
        return f"{len(self.logs)} entries"


class Awkward:
    """Data whose comparison, text and truth raise."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


def events(records: RecordCapture, name: str = "span") -> list[tuple[str, Mapping[str, object]]]:
    """Return the names and attributes of the events of a span."""
    found: tuple[SpanEvent, ...] = records.of(name)[1].events
    return [(event.name, dict(event.attributes)) for event in found]


def test_every_call_reaches_the_flat_trace_and_the_span(records: RecordCapture) -> None:
    """Each method adds the same entry as without the wrapper, and one event."""
    plain, trace = TraceLog(), StructuredTrace()
    with with_span("span"):
        for target in (plain, trace):
            for level in LEVELS:
                assert getattr(target, level)(f"{level}!", "Service", {"n": 1}) is None
            target.add_log("custom", "message", "Service", data=7)
            target.info(message="by name", data=0, source="")
    assert [entry[:4] for entry in trace.logs] == [entry[:4] for entry in plain.logs]
    assert events(records) == [
        *(
            (f"{level}!", {"log.type": level, "log.source": "Service", "log.data": "{'n': 1}"})
            for level in LEVELS
        ),
        ("message", {"log.type": "custom", "log.source": "Service", "log.data": 7}),
        ("by name", {"log.type": "info", "log.data": 0}),
    ]


texts = st.text(max_size=5)
data = st.one_of(st.none(), st.integers(), texts, st.lists(texts), st.dictionaries(texts, texts))


@given(st.lists(st.tuples(st.sampled_from(LEVELS), texts, texts, data), max_size=8))
def test_any_calls_leave_the_same_log(calls: list[tuple[str, str, str, object]]) -> None:
    """Any calls leave the same entries with the wrapper and without it, and an event each."""
    plain, trace = TraceLog(max_logs=5), StructuredTrace(TraceLog(max_logs=5))
    with recording_globally() as records:
        with with_span("span"):
            for name, *arguments in calls:
                getattr(plain, name)(*arguments)
                getattr(trace, name)(*arguments)
        found = [(name, attributes["log.type"]) for name, attributes in events(records)]
    assert [entry[:4] for entry in trace.logs] == [entry[:4] for entry in plain.logs]
    assert trace.dropped_logs == plain.dropped_logs
    assert found == [(message, name) for name, message, _, _ in calls]


def test_a_foreign_trace_works_as_before(records: RecordCapture) -> None:
    """Arguments, results and other attributes of a program's own class are not touched."""
    old = OldTrace()
    trace = StructuredTrace(old)
    with with_span("span"):
        assert trace.info("loaded", 12, "rules", by="x") == 1
        assert trace.success(message="found", source="Targets") is old
        trace.add_log("odd", "message", "Service")
    assert trace.logs is old.logs
    assert old.logs == [
        ("info", "loaded", (12, "rules"), {"by": "x"}),
        ("success", "found", "Targets"),
        ("odd", "message", "Service", None),
    ]
    assert (trace.data, trace.limit, trace.summary()) == (old.data, 10, "3 entries")
    assert events(records) == [
        ("loaded", {"log.type": "info", "log.source": 12, "log.data": "rules"}),
        ("found", {"log.type": "success", "log.source": "Targets"}),
        ("message", {"log.type": "odd", "log.source": "Service"}),
    ]


def test_attributes_that_are_set_are_those_of_the_flat_trace() -> None:
    """Setting and deleting an attribute of the flat trace changes that one."""
    old = OldTrace()
    trace = StructuredTrace(old)
    trace.enabled = False
    trace.logs = []
    trace.info("kept")
    assert (old.enabled, len(old.logs)) == (False, 1)
    del trace.enabled
    assert not hasattr(old, "enabled")


def test_what_the_flat_trace_raises_passes_through(records: RecordCapture) -> None:
    """Its exceptions, and those of a wrong call, are the caller's as before."""
    trace = StructuredTrace(OldTrace())
    error = ValueError("declined")
    with with_span("span"):
        with pytest.raises(ValueError, match="declined") as caught:
            trace.error(error)
        with pytest.raises(TypeError):
            trace.success("by position")
    assert caught.value is error
    assert [name for name, _ in events(records)] == ["declined", "by position"]
    with pytest.raises(AttributeError, match="'OldTrace' object has no attribute 'failure'"):
        trace.failure("missing")
    assert not hasattr(trace, "anything")


def test_coroutine_methods_work_as_before(records: RecordCapture) -> None:
    """A method that is a coroutine function returns its coroutine."""
    trace = StructuredTrace(OldTrace())

    async def main() -> str:
        with with_span("span"):
            result: str = await trace.step("later")
            return result

    assert asyncio.run(main()) == "later"
    assert [name for name, _ in events(records)] == ["later"]


@pytest.mark.parametrize(
    "data", [Awkward(), [Awkward()], object(), {"a": {"b": {"c": {}}}}, "x" * 100_000, b"raw"]
)
def test_any_data_lands_in_the_event(
    data: object, records: RecordCapture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Data of any type is passed on as the same object, and is an attribute of the event."""
    trace = StructuredTrace()
    with with_span("span"):
        trace.data("value", "Service", data)
    assert trace.logs[0].data is data
    ((name, attributes),) = events(records)
    assert (name, set(attributes)) == ("value", {"log.type", "log.source", "log.data"})
    assert capfd.readouterr().err == ""


def test_a_message_that_has_no_text(
    records: RecordCapture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A message whose text raises loses its event, which is reported, and not the call."""
    message = Awkward()
    trace = StructuredTrace()
    with with_span("span"):
        trace.info(message)
    assert trace.logs[0].message is message
    assert events(records) == []
    assert "StructuredTrace: an event is lost: RuntimeError" in capfd.readouterr().err


def test_a_long_message_is_cut_in_the_event_only(records: RecordCapture) -> None:
    """The flat trace has the whole message, the event its start."""
    trace = StructuredTrace()
    with with_span("span"):
        trace.info("x" * 1_000)
    assert len(trace.logs[0].message) == 1_000
    assert [len(name) for name, _ in events(records)] == [200]


def test_events_belong_to_the_current_span(records: RecordCapture) -> None:
    """An event is of the span that is current at the call, whoever started it."""
    trace = StructuredTrace()
    trace.info("nowhere")
    with with_span("outer"):
        trace.info("in outer")
        with trace.with_span("inner"):
            trace.info("in inner")
        trace.info("in outer again")
    trace.info("nowhere")
    assert [name for name, _ in events(records, "outer")] == ["in outer", "in outer again"]
    assert [name for name, _ in events(records, "inner")] == ["in inner"]
    assert len(trace.logs) == 5


def test_the_number_of_events_is_bounded(records: RecordCapture) -> None:
    """Calls beyond the limit only reach the flat trace, and are counted."""
    trace = StructuredTrace(max_events=2)
    trace.info("without a span, so not counted")
    with with_span("span"):
        for number in range(5):
            trace.info(str(number))
    assert [name for name, _ in events(records)] == ["0", "1"]
    assert (len(trace.logs), trace.dropped_events) == (6, 3)


def test_without_tracing_all_calls_work() -> None:
    """With tracing off the flat trace gets everything, and spans do nothing."""
    with as_global(None):
        trace = StructuredTrace()
        with trace.with_span("a") as span:
            trace.info("message")
            span.set_attribute("n", 1)
        assert trace.with_span("b", lambda: 7) == 7
        trace.end_span(trace.start_span("c"))
    assert [entry.message for entry in trace.logs] == ["message"]
    assert (trace.spans, trace.dropped_spans, trace.dropped_events) == ([], 0, 0)
    assert (span.status, span.parent_id, span.duration_ns) == ("success", None, None)


def test_a_copy_wraps_the_same_flat_trace() -> None:
    """`copy.copy` works, although attributes are passed on."""
    trace = StructuredTrace()
    other = copy.copy(trace)
    other.info("message")
    assert [entry.message for entry in trace.logs] == ["message"]


class Sized(OldTrace):
    """A flat trace that is used like a list."""

    def __len__(self) -> int:
        return len(self.logs)

    def __iter__(self) -> Iterator[object]:
        return iter(self.logs)

    def __getitem__(self, index: int) -> object:
        return self.logs[index]

    def __contains__(self, item: object) -> bool:
        return item in self.logs


def test_a_trace_that_is_used_like_a_list() -> None:
    """Length, truth, items and iteration are those of the flat trace."""
    trace = StructuredTrace(Sized())
    assert (bool(trace), len(trace)) == (False, 0)
    trace.info("message")
    assert (bool(trace), len(trace), trace[0] in trace) == (True, 1, True)
    assert list(trace) == trace.logs
    assert bool(StructuredTrace(OldTrace()))
    with pytest.raises(TypeError, match="no len"):
        len(StructuredTrace(OldTrace()))
