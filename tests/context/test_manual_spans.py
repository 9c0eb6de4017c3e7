"""`start_span` and `end_span`: in order and out of order, in other tasks and threads, twice."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, get_current
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext

from otel_ext.context.manual import current_span, end_span, start_span
from otel_ext.context.spans import with_span
from tests.context.tracing import leave_no_span
from tests.global_provider import as_global
from tests.threads import on_thread

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otel_ext.context.outcome import Outcome
    from tests.context.tracing import Tracing

Output = pytest.CaptureFixture[str]
NOT_CURRENT = "end_span: a span was ended where it is not the current one"


def test_a_span_is_current_until_it_ends(traced: Tracing) -> None:
    """`start_span` makes its span current, and `end_span` the one before it."""
    outer = start_span("outer", rows=12)
    inner = start_span("inner")
    assert current_span() is inner
    end_span()
    assert current_span() is outer
    end_span(outer)
    assert current_span() is INVALID_SPAN
    assert traced.parent_of("inner") == "outer"
    assert traced.end_of("outer") == ("OK", None, {"rows": 12})


@pytest.mark.parametrize(
    ("status", "code", "attributes"),
    [("ok", "OK", {}), ("failure", "ERROR", {"error.type": "failure"}), ("error", "ERROR", {})],
)
def test_the_caller_chooses_the_status(
    traced: Tracing, status: Outcome, code: str, attributes: dict[str, object]
) -> None:
    """`ok`, `failure` and `error` are set, the latter two with the description."""
    end_span(start_span("work"), status, "why")
    assert traced.end_of("work") == (code, None if status == "ok" else "why", attributes)


def test_an_exception_decides_the_status(traced: Tracing) -> None:
    """`error=` gives the status of an exception that leaves a block."""
    end_span(start_span("work"), error=ValueError("no"))
    end_span(start_span("stopped"), error=asyncio.CancelledError())
    assert traced.end_of("work") == ("ERROR", "ValueError: no", {"error.type": "ValueError"})
    assert traced.exception_of("work")["exception.message"] == "no"
    assert traced.end_of("stopped")[0] == "UNSET"


def test_a_word_that_is_no_status_is_reported(traced: Tracing, capfd: Output) -> None:
    """The span ends with an error, and the way out is printed."""
    end_span(start_span("work"), "fine")  # type: ignore[arg-type]
    assert traced.end_of("work")[0] == "ERROR"
    assert "status='fine' is not a status: use ok, failure or error" in capfd.readouterr().err


def test_ending_twice_warns_once(traced: Tracing, capfd: Output) -> None:
    """The second end changes neither span nor context, and is reported once a minute."""
    with with_span("outer") as outer:
        span = start_span("work")
        end_span(span)
        for _ in range(3):
            end_span(span, "failure", "late")
        assert current_span() is outer
    assert traced.end_of("work")[:2] == ("OK", None)
    assert capfd.readouterr().err.count("a span was ended twice") == 1


def test_an_unsampled_span_knows_its_end(unsampled: Tracing, capfd: Output) -> None:
    """A span that is sampled out is current until its end, and warns of a second end."""
    first = start_span("first")
    second = start_span("second")
    end_span(first)
    assert current_span() is second
    end_span(second)
    assert current_span() is INVALID_SPAN
    end_span(first)
    assert capfd.readouterr().err.count("a span was ended twice") == 1
    assert unsampled.spans == []


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_spans_may_end_in_any_order(traced: Tracing, order: str, capfd: Output) -> None:
    """Whatever ends first, the latest span that is open stays or becomes the current one.

    An end of another one than the current span is reported once.
    """
    with with_span("outer") as outer:
        spans = {name: start_span(name) for name in "abc"}
        left = dict(spans)
        for name in order:
            end_span(spans[name])
            del left[name]
            assert current_span() is (list(left.values()) or [outer])[-1]
    assert [span.name for span in traced.spans] == [*order, "outer"]
    assert [traced.parent_of(name) for name in "abc"] == ["outer", "a", "b"]
    assert capfd.readouterr().err.count(NOT_CURRENT) == (order != "cba")


def test_other_values_of_the_context_stay(traced: Tracing) -> None:
    """Baggage that the program sets between start and end is kept."""
    before = get_current()
    span = start_span("work")
    attach(baggage.set_baggage("customer", "7"))
    end_span(span)
    assert baggage.get_baggage("customer") == "7"
    assert current_span() is INVALID_SPAN
    attach(before)
    assert traced.end_of("work")[0] == "OK"


def test_a_span_may_end_in_another_thread(traced: Tracing, capfd: Output) -> None:
    """There nothing changes; here it stays current until this thread ends a span of its own."""
    span = start_span("work")

    def end() -> None:
        with with_span("of the thread") as own:
            end_span(span)
            assert current_span() is own

    on_thread(end)
    assert current_span() is span
    end_span(start_span("next"))
    assert current_span() is INVALID_SPAN
    assert traced.parent_of("next") == "work"
    assert traced.parent_of("of the thread") is None
    assert capfd.readouterr().err.count(NOT_CURRENT) == 1


def test_a_second_end_here_makes_the_span_before_current(traced: Tracing, capfd: Output) -> None:
    """Where a span was started and another thread has ended it, ending it again warns."""
    with with_span("outer") as outer:
        span = start_span("work")
        on_thread(lambda: end_span(span))
        end_span(span)
        assert current_span() is outer
    assert traced.end_of("work")[0] == "OK"
    assert "a span was ended twice" in capfd.readouterr().err


def test_spans_that_others_end_do_not_pile_up(traced: Tracing) -> None:
    """A thread whose spans another one ends keeps at most the last of them."""
    with ThreadPoolExecutor(1) as starter, ThreadPoolExecutor(1) as ender:
        for _ in range(50):
            ender.submit(end_span, starter.submit(start_span, "request").result(30)).result(30)
        held = starter.submit(lambda: copy_context().run(get_current)).result(30)
        assert sum(1 for _ in _contexts_before(held)) <= 2
    assert len(traced.spans) == 50


def _contexts_before(held: object) -> list[object]:
    """Return the records of started spans that are reachable from a context."""
    found: list[object] = []
    waiting, seen = [held], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if type(one).__name__ == "_Started":
            found.append(one)
        if isinstance(one, (dict, tuple)):
            waiting.extend(gc.get_referents(one))
    return found


def test_tasks_that_start_each_other_do_not_pile_up(traced: Tracing) -> None:
    """In an endless chain of tasks, each within the span of the last, no chain is kept."""
    held: list[object] = []

    async def step(number: int) -> None:
        span = start_span("step", number=number)
        following = asyncio.create_task(step(number + 1)) if number < 50 else None
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        end_span(span)
        held[:] = [get_current()]
        if following is not None:
            await following

    asyncio.run(step(0))
    assert len(_contexts_before(held[0])) <= 3
    numbers = {span.context.span_id: span for span in traced.spans if span.context}
    for span in numbers.values():
        number = (span.attributes or {})["number"]
        if number:
            assert span.parent is not None
            assert (numbers[span.parent.span_id].attributes or {})["number"] == int(number) - 1  # type: ignore[arg-type]


def test_a_task_that_outlives_its_parent_stays_in_its_trace(traced: Tracing) -> None:
    """In such a task all spans are children of the span in which it was made, though ended."""

    async def outlive(is_over: asyncio.Event) -> None:
        await is_over.wait()
        for name in ("first", "second"):
            end_span(start_span(name))
        with with_span("third"):
            pass

    async def main() -> None:
        is_over = asyncio.Event()
        parent = start_span("parent")
        task = asyncio.create_task(outlive(is_over))
        end_span(parent)
        is_over.set()
        await task

    asyncio.run(main())
    assert [traced.parent_of(name) for name in ("first", "second", "third")] == ["parent"] * 3


def test_end_span_ends_only_what_start_span_started(traced: Tracing, capfd: Output) -> None:
    """Without a span it ends none of `with_span`'s, and says what to do."""
    end_span()
    with with_span("outer") as outer:
        end_span()
        assert outer.is_recording()
    assert traced.end_of("outer")[0] == "OK"
    assert "start_span did not start the current span: name one to end" in capfd.readouterr().err


def test_a_span_of_another_api_can_be_ended(traced: Tracing) -> None:
    """`end_span` ends a span that the program has started with a tracer."""
    end_span(traced.provider.get_tracer("shop").start_span("of a tracer"), "failure", "why")
    assert traced.end_of("of a tracer")[:2] == ("ERROR", "why")


@pytest.mark.parametrize("thing", ["work", 7, object(), NonRecordingSpan(SpanContext(1, 2, False))])  # noqa: FBT003
def test_ending_a_thing_that_is_not_a_span_raises_nothing(traced: Tracing, thing: Span) -> None:
    """A wrong argument is reported."""
    end_span(thing)
    assert traced.spans == []


def test_without_a_provider_nothing_changes() -> None:
    """Without a provider there is no span to make current."""
    with as_global(None), leave_no_span():
        before = get_current()
        span = start_span("work", order=7)
        assert span is INVALID_SPAN
        assert get_current() is before
        end_span(span)
        end_span()
        assert get_current() is before


def test_a_block_around_ends_what_was_forgotten_to_end(traced: Tracing) -> None:
    """After a block, spans that were started in it are not current, ended or not."""
    with with_span("outer"):
        forgotten = start_span("forgotten")
    assert current_span() is INVALID_SPAN
    end_span(forgotten)
    assert current_span() is INVALID_SPAN
    assert traced.parent_of("forgotten") == "outer"
