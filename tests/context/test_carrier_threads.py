"""One `with_propagated_context` object in several threads, and closed where it does not belong."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from opentelemetry.trace import INVALID_SPAN, get_current_span

from otel_ext.context import (
    current_span,
    error_context,
    trace_context,
    with_context,
    with_propagated_context,
    with_span,
)
from tests.threads import on_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.context.tracing import Tracing

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ERROR_CONTEXT = "otel_ext_error_context"


def test_one_block_is_shared_by_two_threads() -> None:
    """Each thread leaves its own entry of the same object, in any order."""
    block = with_propagated_context({"traceparent": TRACEPARENT, ERROR_CONTEXT: '{"n":1}'})
    entered, left = threading.Event(), threading.Event()

    def longer() -> tuple[object, object]:
        with with_context(m=2), block:
            entered.set()
            left.wait(10)
        return error_context.get(), get_current_span()

    def shorter() -> dict[str, object]:
        with block:
            return error_context.get()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(longer)
        entered.wait(10)
        assert pool.submit(shorter).result() == {"n": 1}
        left.set()
        assert first.result() == ({}, INVALID_SPAN)
    block.__exit__(None, None, None)
    assert get_current_span() is INVALID_SPAN


def _items() -> Iterator[int]:
    with with_propagated_context({}):
        yield 1


def test_a_block_without_a_span_that_is_closed_later(traced: Tracing) -> None:
    """It does not make the span current again that was so at its start, and has ended."""
    with with_span("request A"):
        items = _items()
        next(items)
    items.close()  # type: ignore[attr-defined]
    assert current_span() is INVALID_SPAN
    with with_span("request B"):
        pass
    assert traced.parent_of("request B") is None


def test_a_block_that_another_thread_closes(traced: Tracing) -> None:
    """That thread's context stays as it is."""
    with with_span("request A"):
        items = _items()
        next(items)

        def close() -> None:
            items.close()  # type: ignore[attr-defined]
            assert current_span() is INVALID_SPAN

        on_thread(close)
    assert [span.name for span in traced.spans] == ["request A"]


def test_fields_set_in_the_block_end_with_it(traced: Tracing) -> None:
    """Not with the first other trace in it."""
    with with_propagated_context({"traceparent": TRACEPARENT}):
        error_context.set(job=7)
        with trace_context("other"):
            pass
        assert error_context.get() == {"job": 7}
    assert error_context.get() == {}
    assert len(traced.spans) == 1
