"""Generators in a span that is current only while their body runs."""

from __future__ import annotations

import gc
import inspect
import weakref
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.context import attach, get_current
from opentelemetry.trace import (
    INVALID_SPAN,
    set_span_in_context,
)

from otel_ext.context.auto import auto_span
from otel_ext.context.manual import current_span
from otel_ext.context.spans import with_span
from tests.context.tracing import CLOSED, REMOTE, leave_no_span
from tests.global_provider import as_global
from tests.threads import on_thread

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.trace import Span

    from tests.context.tracing import Tracing


@auto_span(name="numbers")
def numbers(count: int) -> Generator[Span, Any, str]:
    """Yield the current span, `count` times, with a span around each yield."""
    own = current_span()
    for number in range(count):
        with with_span(f"number {number}") as inner:
            yield inner
            assert current_span() is inner
        assert current_span() is own
    return "done"


@auto_span(name="replies")
def replies() -> Generator[object, object, None]:
    """Yield what is sent or thrown in."""
    value: object = None
    while True:
        try:
            value = yield value
        except KeyError as error:
            value = error


def test_the_span_is_current_only_in_the_body(traced: Tracing) -> None:
    """Between items the consumer has its own span; the body has its own again after each."""
    with with_span("consumer") as consumer:
        for inner in numbers(3):
            assert inner.is_recording()
            assert current_span() is consumer
            with with_span("work on it"):
                pass
    assert traced.parent_of("numbers") == "consumer"
    assert {traced.parent_of(f"number {n}") for n in range(3)} == {"numbers"}
    works = [span for span in traced.spans if span.name == "work on it"]
    assert {span.parent and span.parent.span_id for span in works} == {
        consumer.get_span_context().span_id
    }
    assert traced.end_of("numbers") == ("OK", None, {})


def test_the_span_starts_with_the_first_item(traced: Tracing) -> None:
    """A generator that is never started has no span."""
    iterator = numbers(1)
    assert traced.records.spans == []
    next(iterator)
    assert [record.name for record in traced.records.open] == ["numbers", "number 0"]
    iterator.close()
    numbers(2).close()
    assert len(traced.spans) == 2


def test_the_result_is_kept(traced: Tracing) -> None:
    """`yield from` returns what the generator returns."""

    def outer() -> Generator[Span, None, str]:
        return (yield from numbers(2))

    iterator = outer()
    assert len([next(iterator), next(iterator)]) == 2
    with pytest.raises(StopIteration) as stopped:
        next(iterator)
    assert stopped.value.value == "done"
    assert traced.end_of("numbers")[0] == "OK"


def test_values_and_exceptions_reach_the_body(traced: Tracing) -> None:
    """`send` and `throw` work as without a span; one that leaves the body is its error."""
    iterator = replies()
    assert next(iterator) is None
    assert iterator.send(5) == 5
    error = KeyError("handled")
    assert iterator.throw(error) is error
    with pytest.raises(ValueError, match="not handled"):
        iterator.throw(ValueError("not handled"))
    with pytest.raises(StopIteration):
        next(iterator)
    assert traced.end_of("replies")[:2] == ("ERROR", "ValueError: not handled")


def test_a_stop_that_is_thrown_in_is_an_error(traced: Tracing) -> None:
    """`throw(StopIteration)` is a `RuntimeError`, as without a span."""
    iterator = replies()
    next(iterator)
    with pytest.raises(RuntimeError):
        iterator.throw(StopIteration())
    assert traced.end_of("replies")[0] == "ERROR"


def test_closing_ends_the_span(traced: Tracing) -> None:
    """`close` runs the rest of the body in its span, which is named as closed."""
    seen: list[Span] = []

    @auto_span(name="work")
    def work() -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            seen.append(current_span())

    iterator = work()
    next(iterator)
    iterator.close()
    iterator.close()
    assert traced.end_of("work") == CLOSED
    assert seen[0].get_span_context() == traced.span("work").context


def test_a_body_that_refuses_to_close_fails_as_without_a_span(traced: Tracing) -> None:
    """A `yield` in answer to `close` is a `RuntimeError`."""

    @auto_span(name="stubborn")
    def stubborn() -> Generator[int, None, None]:
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2
                return

    iterator = stubborn()
    next(iterator)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        iterator.close()
    assert traced.end_of("stubborn")[0] == "ERROR"


def test_an_abandoned_generator_ends_its_span(traced: Tracing) -> None:
    """A generator that is collected as garbage ends its spans, whatever is current then."""
    iterator = numbers(3)
    next(iterator)
    with with_span("later") as later:
        del iterator
        gc.collect()
        assert current_span() is later
    assert traced.end_of("numbers") == CLOSED
    assert traced.end_of("number 0") == CLOSED
    assert traced.parent_of("later") is None


def test_a_thrown_exception_keeps_nothing_alive(traced: Tracing) -> None:
    """After `throw`, the generator is freed without the garbage collector."""

    class Thing:
        pass

    def throw() -> weakref.ref[Thing]:
        thing = Thing()

        @auto_span(name="work")
        def work() -> Generator[int, None, None]:
            held = thing
            try:
                yield 1
            except KeyError:
                yield 2
            del held

        iterator = work()
        next(iterator)
        iterator.throw(KeyError())
        return weakref.ref(thing)

    gc.collect()
    gc.disable()
    try:
        assert throw()() is None
    finally:
        gc.enable()
    assert traced.end_of("work") == CLOSED


def test_other_threads_and_contexts_may_consume_it(traced: Tracing) -> None:
    """Each item may be requested elsewhere; the body keeps its own context."""
    iterator = numbers(4)
    got: list[Span] = []

    def request() -> None:
        with with_span("elsewhere") as own:
            got.append(next(iterator))
            assert current_span() is own
        assert current_span() is INVALID_SPAN

    request()
    on_thread(request)
    copy_context().run(request)
    thread = Thread(target=lambda: got.extend(iterator))
    thread.start()
    thread.join(30)
    assert len(got) == 4
    assert {traced.parent_of(f"number {n}") for n in range(4)} == {"numbers"}
    assert {span.status.status_code.name for span in traced.spans} == {"OK"}


def test_wrong_arguments_leave_no_span_open(traced: Tracing) -> None:
    """A call with wrong arguments raises `TypeError` at the first item, without a span."""
    with pytest.raises(TypeError):
        next(numbers())  # type: ignore[call-arg]
    assert traced.records.spans == []


def test_the_kinds_of_functions_are_kept() -> None:
    """`inspect` sees a generator function, and its signature."""
    assert inspect.isgeneratorfunction(numbers)
    assert list(inspect.signature(numbers).parameters) == ["count"]


def test_without_a_provider_the_body_has_the_context_of_its_consumer() -> None:
    """With tracing off, a span of the program's own is current in the body."""
    seen: list[Span] = []

    @auto_span
    def work() -> Generator[int, int, int]:
        seen.append(current_span())
        return (yield 1)

    with as_global(None), leave_no_span():
        before = get_current()
        attach(set_span_in_context(REMOTE))
        iterator = work()
        assert next(iterator) == 1
        with pytest.raises(StopIteration) as stopped:
            iterator.send(5)
        attach(before)
    assert stopped.value.value == 5
    assert seen == [REMOTE]
