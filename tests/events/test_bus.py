"""The event bus: which events a subscription gets, and what they contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.context import mark_failure, with_span
from otel_ext.errors import ConfigError
from otel_ext.events import RECORD_EVENTS, Event, emit, subscribe
from tests.events.heard import Heard
from tests.threads import numbered_threads

if TYPE_CHECKING:
    from otel_ext.testing import RecordCapture


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("cache.hit", ["cache.hit"]),
        ("cache.*", ["cache.hit", "cache.miss", "cache.miss.cold"]),
        ("cache*", ["cache", "cache.hit", "cache.miss", "cache.miss.cold", "caches"]),
        ("cache.miss", ["cache.miss"]),
        ("*", ["cache", "cache.hit", "cache.miss", "cache.miss.cold", "caches", "Cache.hit", "*"]),
        ("cach", []),
    ],
)
def test_patterns(pattern: str, expected: list[str]) -> None:
    """A pattern is a whole name, a prefix, or all; capitals differ."""
    heard = Heard()
    with subscribe(pattern, heard, inline=True):
        for name in ("cache", "cache.hit", "cache.miss", "cache.miss.cold", "caches"):
            emit(name)
        emit("Cache.hit")
        emit("*")
    assert heard.names == expected


@given(st.text(st.sampled_from("ab.*"), max_size=5), st.text(st.sampled_from("ab."), max_size=5))
def test_any_valid_pattern_matches_as_it_says(pattern: str, name: str) -> None:
    """A pattern either is refused, or matches by its text up to the star."""
    heard = Heard()
    try:
        subscription = subscribe(pattern, heard, inline=True)
    except ConfigError:
        assert not pattern or "*" in pattern[:-1]
        return
    with subscription:
        emit(name)
    prefix = pattern.removesuffix("*")
    assert heard.names == (
        [name] if name.startswith(prefix) and pattern in {name, f"{prefix}*"} else []
    )


@pytest.mark.parametrize("pattern", ["", " ", "a b", "*.stop", "a**", "**", "a*b", None, 7, b"a"])
def test_a_pattern_that_is_not_valid(pattern: object) -> None:
    """What is not a name, a prefix or a star is refused with a way out."""
    with pytest.raises(ConfigError, match=r"is not a valid pattern of event names.*span\.\*"):
        subscribe(pattern, print)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"handler": "print"}, "handler='print' cannot be called"),
        ({"max_failures": 0}, "max_failures=0 is not a positive number"),
        ({"max_seconds": -0.5}, "max_seconds=-0.5 is not a positive number"),
        ({"max_queued": 1.5}, "max_queued=1.5 is not a positive number"),
    ],
    ids=["handler", "failures", "seconds", "queued"],
)
def test_other_wrong_arguments(options: dict[str, object], message: str) -> None:
    """A handler that cannot be called and limits that are not positive are refused."""
    with pytest.raises(ConfigError, match=message):
        subscribe("*", **{"handler": print, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("inline", [False, True], ids=["queued", "inline"])
def test_start_and_stop_of_a_span(inline: bool, records: RecordCapture) -> None:
    """Events of a span have its names, ids, attributes, location, duration and status."""
    heard = Heard()
    with subscribe("span.*", heard, inline=inline) as subscription:
        with with_span("outer"), with_span("pay", order=7) as span:
            span.set_attribute("amount", 12)
        assert subscription.flush(30)
    assert heard.spans == [
        *("span.start outer", "span.start pay", "span.stop pay", "span.stop outer")
    ]
    begun, stopped = heard.events[1:3]
    start, end = records.of("pay")
    common = {
        "name": "pay",
        "trace_id": start.trace_id,
        "span_id": start.span_id,
        "parent_span_id": records.of("outer")[0].span_id,
        "file": "tests/events/test_bus.py",
        "line": start.call_site.line,
        "function": "test_start_and_stop_of_a_span",
        "process": start.process.id,
    }
    assert begun == Event("span.start", {}, {**common, "attributes": {"order": 7}}, start.time_ns)
    assert stopped == Event(
        "span.stop",
        {"duration_ns": end.time_ns - start.time_ns},
        {**common, "attributes": {"order": 7, "amount": 12}, "status": "ok"},
        end.time_ns,
    )
    assert stopped.measurements["duration_ns"] > 0


def test_the_status_of_a_span_that_failed() -> None:
    """An exception and a failure are in the metadata of the stop event."""
    heard = Heard()
    with subscribe("span.stop", heard, inline=True):
        with pytest.raises(ValueError, match="declined"), with_span("bad"):
            raise ValueError("declined")
        with with_span("failed"):
            mark_failure("no money")
    bad, failed = (event.metadata for event in heard.events)
    assert (bad["status"], failed["status"]) == ("error", "error")
    assert "declined" in str(bad["error"])
    assert failed["attributes"] == {"error.type": "failure"}


def test_an_event_of_the_program() -> None:
    """It has the numbers and facts that were passed, copied, and the time."""
    heard = Heard()
    measurements, metadata = {"size": 3.5}, {"key": "a", "value": object()}
    with subscribe("cache.miss", heard, inline=True):
        emit("cache.miss", measurements, metadata)
        emit("cache.miss")
    measurements.clear()
    first, second = heard.events
    assert (first.measurements, first.metadata) == ({"size": 3.5}, metadata)
    assert (second.measurements, second.metadata) == ({}, {})
    assert 0 < first.time_ns <= second.time_ns


def test_two_subscriptions_get_the_same_event() -> None:
    """Each subscription that matches gets each event once."""
    first, second, third = Heard(), Heard(), Heard()
    with (
        subscribe("span.start", first, inline=True),
        subscribe("span.*", second, inline=True),
        subscribe("other", third, inline=True),
        with_span("pay"),
    ):
        pass
    assert first.spans == ["span.start pay"]
    assert second.spans == ["span.start pay", "span.stop pay"]
    assert third.events == []
    assert first.events[0] is second.events[0]


def test_an_event_that_cannot_be_made_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """Arguments that are not mappings lose the event, not the program."""
    heard = Heard()
    with subscribe("*", heard, inline=True):
        emit("cache.miss", 7)  # type: ignore[arg-type]
        emit(7)  # type: ignore[arg-type]
    assert heard.events == []
    assert "the event 'cache.miss' is lost: TypeError" in capfd.readouterr().err


def test_events_from_many_threads() -> None:
    """All events of 8 threads arrive, those of each thread in their order."""
    heard = Heard()

    def run(thread: int) -> None:
        for number in range(200):
            emit(f"thread.{thread}", {"n": number})

    with subscribe("*", heard) as subscription:
        numbered_threads(8, run)
        assert subscription.flush(30)
    assert subscription.dropped == 0
    for thread in range(8):
        numbers = [one.measurements["n"] for one in heard.events if one.name == f"thread.{thread}"]
        assert numbers == list(range(200))


def test_the_names_that_are_listed() -> None:
    """The list has the events of spans and of the process, each a name for a subscription."""
    assert (
        *("span.start", "span.stop", "span.stalled", "span.abandoned", "process.heartbeat"),
    ) == RECORD_EVENTS
