"""Status and events of an ended span are read as by Python, whatever the SDK's objects hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from opentelemetry.sdk.trace import Event, SpanLimits, TracerProvider
from opentelemetry.trace import Status, StatusCode

from otel_ext._accel import load_speed
from otel_ext.record import capture
from otel_ext.record.model import UNSET_STATUS, PlainAttributes, Process, SpanEvent
from otel_ext.record.model import Status as OurStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import Span

pytestmark = pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")

PROCESS = Process("b00t-1-2-cafe0001")


class ShownEvent(Event):
    """An event that shows another name than it stores."""

    @property
    def name(self) -> str:
        """Another name."""
        return "shown"


class ShownStatus(Status):
    """A status that shows another description than it stores."""

    @property
    def description(self) -> str:
        """Another description."""
        return "shown"


def event(span: Span, kind: type[Event] = Event, **fields: object) -> Event:
    """Add an event, with other values in its fields."""
    span.add_event("e", {"n": 1})
    kept = getattr(span, "_events")._dq  # noqa: B009, SLF001 - as no program does
    kept[-1] = made = kind("e", getattr(kept[-1], "_attributes"))  # noqa: B009
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def failed(span: Span) -> None:
    """Record an exception, as the SDK does when one leaves a span."""
    try:
        dict[str, int]()["order"]
    except KeyError as error:
        span.record_exception(error, {"shop": "é"})
        span.set_status(Status(StatusCode.ERROR, f"KeyError: {error}"))


def many(span: Span) -> None:
    """Add many events."""
    for n in range(50):
        span.add_event(str(n), {"n": n}, n + 1)


def put(span: Span, name: str, value: object) -> None:
    """Set a field that no program sets."""
    setattr(span, name, value)


SPANS: dict[str, Callable[[Span], object]] = {
    "nothing": lambda span: span,
    "ok": lambda span: span.set_status(StatusCode.OK),
    "error": lambda span: span.set_status(StatusCode.ERROR),
    "an exception": failed,
    "many events": many,
    "no attributes": lambda span: span.add_event("bare"),
    "left out": lambda span: span.add_event("full", {str(n): n for n in range(9)}),
    "time 0": lambda span: span.add_event("early", timestamp=0),
    "a number as name": lambda span: event(span, _name=5),
    "attributes: a dict": lambda span: event(span, _attributes={"plain": True}),
    "attributes: None": lambda span: event(span, _attributes=None),
    "attributes: a list": lambda span: event(span, _attributes=[1]),
    "another kind of event": lambda span: event(span, ShownEvent),
    "another kind of status": lambda span: put(
        span, "_status", ShownStatus(StatusCode.ERROR, "stored")
    ),
    "a status with a number": lambda span: put(span, "_status", Status(cast("StatusCode", 2))),
    "no status": lambda span: put(span, "_status", None),
    "events: None": lambda span: put(span, "_events", None),
    "events: a list": lambda span: put(span, "_events", [Event("e", {"n": 1}, 7)]),
}


@pytest.mark.parametrize("change", SPANS.values(), ids=list(SPANS))
def test_an_end_is_captured_as_by_python(change: Callable[[Span], object]) -> None:
    """Both give the same record; where the SDK's own objects are odd, too."""
    provider = TracerProvider(
        shutdown_on_exit=False, span_limits=SpanLimits(max_event_attributes=4)
    )
    span = cast("Span", provider.get_tracer("t").start_span("work"))
    start = capture.capture_start(span, PROCESS, 1)
    change(span)
    span._end_time = 10**18  # noqa: SLF001 - `end` would call processors, of which there is none
    ends = [
        make(span, PROCESS, 2, start) for make in (capture.capture_end, capture.capture_end_python)
    ]
    assert ends[0] == ends[1]
    kinds = [[type(one.status), *map(type, one.events)] for one in ends]
    assert kinds[0] == kinds[1]


def test_an_exception_becomes_an_event_of_ours() -> None:
    """Its attributes are a copy, and the status has the description."""
    span = cast("Span", TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("work"))
    start = capture.capture_start(span, PROCESS, 1)
    failed(span)
    span.end()
    end = capture.capture_end(span, PROCESS, 2, start)
    assert end.status == OurStatus("error", "KeyError: 'order'")
    (found,) = end.events
    assert (type(found), found.name, found.dropped) == (SpanEvent, "exception", 0)
    assert type(found.attributes) is PlainAttributes
    assert found.attributes == dict(span.events[0].attributes or {})


def test_a_text_is_not_read_as_a_time() -> None:
    """The event stays, with the present as its time."""
    span = cast("Span", TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("work"))
    start = capture.capture_start(span, PROCESS, 1)
    event(span, _timestamp="1")
    span.end()
    (found,) = capture.capture_end(span, PROCESS, 2, start).events
    assert (found.name, type(found.time_ns)) == ("e", int)
    assert found.time_ns >= start.time_ns


def test_an_unset_status_is_always_the_same_object() -> None:
    """So the encoder knows it without a look at its text."""
    span = cast("Span", TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("work"))
    start = capture.capture_start(span, PROCESS, 1)
    span.end()
    assert capture.capture_end(span, PROCESS, 2, start).status is UNSET_STATUS
