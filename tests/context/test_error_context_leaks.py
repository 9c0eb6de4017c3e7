"""No field of the error context gets from one request, task or job to another."""

from __future__ import annotations

import asyncio
import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import flask
import pytest
import requests
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.instrumentation.flask import FlaskInstrumentor  # pyright: ignore[reportMissingTypeStubs]
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import set_span_in_context
from structlog.contextvars import get_contextvars
from werkzeug.serving import ThreadedWSGIServer, make_server

from otel_ext.context import error_context
from otel_ext.context.auto import auto_span
from otel_ext.context.error_context import get, with_context
from otel_ext.context.manual import current_span, end_span, start_span
from otel_ext.context.spans import with_span
from tests.context.tracing import REMOTE, Tracing, tracing
from tests.threads import numbered_threads, on_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

    from opentelemetry.sdk.trace.sampling import Sampler

    from tests.structlog_kit import Kept

JOIN_CALLER = {"traceparent": f"00-{0xA:032x}-{0xB:016x}-01"}


def by_set_in_a_block(number: int) -> None:
    """Serve a job that sets fields in the span of a block."""
    with with_span("job"):
        assert get_contextvars() == {}
        error_context.set(order=number, **{f"field_{number}": 1})
        structlog.get_logger("shop").info("set", number=number)


def by_set_and_hand(number: int) -> None:
    """Serve a job that sets fields in a span by hand."""
    span = start_span("job")
    assert get_contextvars() == {}
    error_context.set(order=number)
    error_context.set(**{f"field_{number}": 1})
    structlog.get_logger("shop").info("set", number=number)
    end_span(span)


def by_block(number: int) -> None:
    """Serve a job with a block, which fails, and leave a generator with a block unfinished."""

    def items() -> Iterator[int]:
        with with_context(item=number):
            yield number

    def work() -> None:
        abandoned.append(items())
        next(abandoned[-1])
        structlog.get_logger("shop").info("set", number=number)
        raise ValueError("no")

    with with_span("job"):
        assert get_contextvars() == {}
        with pytest.raises(ValueError, match="no") as raised, with_context(order=number):
            work()
        note = f"error context: item={number}, order={number}"
        assert vars(raised.value)["__notes__"] == [note]


abandoned: list[Iterator[int]] = []


@pytest.mark.parametrize("serve", [by_set_in_a_block, by_set_and_hand, by_block])
@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "not sampled"])
def test_a_pooled_thread_starts_each_job_without_fields(
    kept: Kept, serve: Callable[[int], None], sampler: Sampler
) -> None:
    """One worker serves many jobs; each sees, logs and raises with its own fields only."""
    abandoned.clear()
    with tracing(sampler), ThreadPoolExecutor(1) as pool:
        for number in range(20):
            pool.submit(serve, number).result(30)
            pool.submit(structlog.get_logger("shop").info, "between").result(30)
            if number % 3 == 0:
                pool.submit(abandoned.clear).result(30)
        assert pool.submit(get_contextvars).result(30) == {}
        assert not pool.submit(current_span).result(30).get_span_context().is_valid
    abandoned.clear()
    for record in kept.records:
        if record.name == "between":
            assert dict(record.attributes) == {}
        else:
            assert record.attributes["order"] == record.attributes["number"]
            others = {name for name in record.attributes if name.startswith("field_")}
            assert others <= {f"field_{record.attributes['number']}"}


def test_two_requests_of_one_trace_are_two(traced: Tracing) -> None:
    """A caller that sends two requests in one trace gets two sets of fields in one thread."""

    def serve(number: int) -> dict[str, object]:
        tracer = traced.provider.get_tracer("server")
        with tracer.start_as_current_span("request", set_span_in_context(REMOTE)):
            before = get_contextvars()
            error_context.set(**{f"order_{number}": number})
            return before

    with ThreadPoolExecutor(1) as pool:
        assert [pool.submit(serve, number).result(30) for number in range(5)] == [{}] * 5
        assert pool.submit(get_contextvars).result(30) == {}


def test_a_late_end_of_a_block_changes_no_other_job(traced: Tracing) -> None:
    """A generator of one job that is closed in a later one takes nothing from that."""

    def items(number: int) -> Generator[int, None, None]:
        with with_context(order=number), with_span("items"):
            yield number

    with with_span("first"), with_context(order=0):
        iterator = items(1)
        next(iterator)
        assert get() == {"order": 1}
    assert get_contextvars() == {}
    with with_span("second"), with_context(order=2):
        iterator.close()
        assert get() == {"order": 2}
    assert get_contextvars() == {}
    assert len(traced.spans) == 3


def test_a_block_that_another_thread_ends_changes_nothing_there(traced: Tracing) -> None:
    """The garbage collector may close a generator on any thread."""

    def items() -> Generator[int, None, None]:
        with with_context(order=1):
            yield 1

    def collect(number: int) -> None:
        with with_span("of the thread"), with_context(order=number):
            iterator.close()
            assert get() == {"order": number}
        assert get_contextvars() == {}

    iterator = items()
    next(iterator)
    assert get() == {"order": 1}
    numbered_threads(1, collect)
    # Its own thread has lost nothing that it had before.
    assert get() == {}
    assert len(traced.spans) == 1


def test_threads_that_share_a_block_end_their_own(traced: Tracing) -> None:
    """One `with_context` object may be open in many threads."""
    block, barrier = with_context(order=7), Barrier(8)

    def work(number: int) -> None:
        with with_context(order=number):
            for _ in range(5):
                barrier.wait(30)
                with block:
                    error_context.set(item=number)
                    barrier.wait(30)
                    assert get() == {"order": 7, "item": number}
                assert get() == {"order": number}
        assert get_contextvars() == {}

    numbered_threads(8, work)
    assert traced.spans == []


def test_a_worker_that_starts_in_a_request_drops_its_fields(traced: Tracing) -> None:
    """A thread in a copy of a request's context forgets what was set when it turns to another."""
    with with_span("request"):
        error_context.set(order=7)
        copied = copy_context()
    seen: list[dict[str, object]] = []

    def serve() -> None:
        seen.append(get())
        with traced.provider.get_tracer("server").start_as_current_span(
            "another", set_span_in_context(REMOTE)
        ):
            seen.append(get_contextvars())
        seen.append(get_contextvars())

    on_thread(lambda: copied.run(serve))
    assert seen == [{"order": 7}, {}, {}]


def call_shop(app: flask.Flask, headers: dict[str, str]) -> None:
    """Make 40 requests, on two pooled threads; each fourth fails."""
    with ThreadPoolExecutor(2) as pool:

        def call(number: int) -> int:
            return app.test_client().get(f"/{number}", headers=headers).status_code

        codes = list(pool.map(call, range(40)))
    assert codes == [500 if number % 4 == 3 else 200 for number in range(40)]


@pytest.mark.parametrize("headers", [{}, JOIN_CALLER], ids=["own traces", "one trace"])
def test_requests_of_flask_share_no_fields(
    kept: Kept, traced: Tracing, headers: dict[str, str]
) -> None:
    """Handlers that set fields, and fail, leave none for the next request of their thread."""
    call_shop(_shop(traced), headers)
    _check_own_fields(kept, 40)


def test_unsampled_requests_of_flask_share_no_fields(kept: Kept, unsampled: Tracing) -> None:
    """With `merge_fields` in the chain, no log has fields of an earlier request."""
    chain = structlog.get_config()["processors"]
    chain[0] = error_context.merge_fields
    call_shop(_shop(unsampled, starts_with=structlog.get_logger("shop")), {})
    _check_own_fields(kept, 40)


def test_a_threaded_server_of_flask_shares_no_fields(kept: Kept, traced: Tracing) -> None:
    """Over HTTP, with a thread for each connection and several requests on each."""
    app = _shop(traced)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    assert isinstance(server, ThreadedWSGIServer)
    server.daemon_threads = False
    thread = Thread(target=server.serve_forever)
    thread.start()

    def call(worker: int) -> None:
        with requests.Session() as session:
            for number in range(worker * 5, worker * 5 + 5):
                session.get(f"http://127.0.0.1:{server.port}/{number}", timeout=30)

    try:
        numbered_threads(6, call)
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()
    _check_own_fields(kept, 30)
    spans = [span for span in traced.spans if span.name == "GET /<int:number>"]
    assert len(spans) == 30
    for span in spans:
        numbers = {str(dict(event.attributes or {}).get("order")) for event in span.events}
        assert len(numbers) <= 1
        assert span.parent is None


def _shop(traced: Tracing, starts_with: Any = None) -> flask.Flask:  # noqa: ANN401 - any logger
    """Return an application that logs, sets fields and logs again in each request."""
    app = flask.Flask("web")
    app.logger.setLevel(logging.CRITICAL)
    log, first = structlog.get_logger("shop"), starts_with or logging.getLogger("shop")

    @app.get("/<int:number>")
    def order(number: int) -> flask.Response:
        first.info(f"start {number}")
        error_context.set(order=number)
        error_context.set(**{f"field_{number}": 1})
        log.info("set", number=number)
        if number % 4 == 3:
            raise ValueError("no")

        def body() -> Generator[str, None, None]:
            with with_context(item=number):
                yield "a"
                yield "b"

        return flask.Response(body())

    instrumentor: Any = FlaskInstrumentor()
    instrumentor.instrument_app(app, tracer_provider=traced.provider)
    return app


def _check_own_fields(kept: Kept, count: int) -> None:
    """Check that the first log of each request has no fields, and the second its own."""
    starts = [record for record in kept.records if record.name.startswith("start ")]
    assert len(starts) == count
    for record in starts:
        fields = {
            name for name in record.attributes if name.startswith(("order", "item", "field_"))
        }
        assert fields == set()
    sets = [record for record in kept.records if record.name == "set"]
    assert len(sets) == count
    for record in sets:
        number = record.attributes["number"]
        assert dict(record.attributes) == {"number": number, "order": number, f"field_{number}": 1}


def test_interleaved_tasks_share_no_fields(kept: Kept, traced: Tracing) -> None:
    """Requests that are tasks, with async generators and failures, each have their own."""

    @auto_span
    async def items(number: int) -> AsyncGenerator[int, None]:
        for item in range(3):
            with with_context(item=item, owner=number):
                await asyncio.sleep(0)
                assert get()["owner"] == number
                yield item

    async def serve(number: int) -> None:
        async with with_span("request"):
            error_context.set(order=number)
            async for item in items(number):
                await asyncio.sleep(0)
                structlog.get_logger("shop").info("item", number=number)
                if item == number % 4:
                    raise ValueError(number)

    async def main() -> None:
        found = await asyncio.gather(*map(serve, range(200)), return_exceptions=True)
        assert sum(isinstance(one, ValueError) for one in found) == 150
        assert get() == {}

    asyncio.run(main())
    gc.collect()
    for record in kept.records:
        assert record.attributes["order"] == record.attributes["number"]
    for span in traced.spans:
        for event in span.events:
            fields = dict(event.attributes or {})
            assert str(fields["order"]) == fields["exception.message"]


STEPS = st.lists(
    st.tuples(st.sampled_from(["block", "span", "set", "hand", "leave", "log"]), st.integers(0, 3)),
    max_size=30,
)


@given(st.lists(STEPS, min_size=1, max_size=5))
def test_fields_are_those_of_a_model(jobs: list[list[tuple[str, int]]]) -> None:
    """Whatever blocks, spans and sets jobs nest, each field ends with what is around it."""
    with tracing(ALWAYS_ON), ThreadPoolExecutor(1) as pool:
        for steps in jobs:
            pool.submit(_run_job, steps).result(30)
            assert pool.submit(get_contextvars).result(30) == {}


def _run_job(steps: list[tuple[str, int]]) -> None:
    """Run one job within a span, beside a stack of the fields that must hold."""
    expected: list[dict[str, object]] = [{}]
    opened: list[Callable[[], object]] = []
    with with_span("job"):
        for kind, number in steps:
            if kind in {"block", "span"}:
                block: Any = with_context(**{f"f{number}": kind}) if kind == "block" else None
                block = block or with_span("inner")
                block.__enter__()
                opened.append(partial(block.__exit__, None, None, None))
                expected.append(
                    {**expected[-1], **({f"f{number}": kind} if kind == "block" else {})}
                )
            elif kind == "hand":
                span = start_span("by hand")
                opened.append(partial(end_span, span))
                expected.append(dict(expected[-1]))
            elif kind == "set":
                error_context.set(**{f"f{number}": len(opened)})
                expected[-1][f"f{number}"] = len(opened)
            elif kind == "leave" and opened:
                opened.pop()()
                expected.pop()
            assert get_contextvars() == expected[-1]
        while opened:
            opened.pop()()
            expected.pop()
            assert get_contextvars() == expected[-1]
