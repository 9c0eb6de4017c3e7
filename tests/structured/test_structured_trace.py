"""Spans of `StructuredTrace`: tree, status, limits, functions, coroutines, tasks and threads."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otel_ext.context import Failure, auto_span, carried, current_span, mark_failure, with_span
from otel_ext.errors import ConfigError
from otel_ext.structured import StructuredTrace, TraceLog
from tests.global_provider import as_global
from tests.threads import on_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.structured import TraceSpan
    from otel_ext.testing import RecordCapture


def tree(spans: list[TraceSpan]) -> dict[str, Any]:
    """Return the operations of spans and of their children."""
    return {span.operation: tree(span.children) for span in spans}


def test_spans_form_a_tree(records: RecordCapture) -> None:
    """Blocks within blocks are children, in the trace's view and in the records."""
    trace = StructuredTrace()
    with trace.with_span("request"):
        with trace.with_span("parse"):
            pass
        with trace.with_span("resolve"), trace.with_span("query"):
            pass
    with trace.with_span("next"):
        pass
    assert tree(trace.spans) == {
        "request": {"parse": {}, "resolve": {"query": {}}},
        "next": {},
    }
    request = trace.spans[0]
    assert [child.parent for child in request.children] == [request, request]
    for name, parent in (("parse", "request"), ("query", "resolve")):
        assert records.of(name)[0].parent_span_id == records.of(parent)[0].span_id


def test_a_span_shows_what_the_record_has(records: RecordCapture) -> None:
    """Ids, times, duration, attributes and status are those of the recorded span."""
    trace = StructuredTrace()
    attributes: Any = {"n": 1, 7: [1, "a"]}
    with trace.with_span("outer"), trace.with_span("work", attributes=attributes) as span:
        assert (span.status, span.end_ns, span.duration_ns) == ("active", None, None)
        span.set_attribute("late", {"a": 1})
    start, end = records.of("work")
    assert (span.id, span.parent_id) == (end.span_id, end.parent_span_id)
    assert (span.start_ns, span.end_ns) == (start.time_ns, end.time_ns)
    assert span.duration_ns == end.time_ns - start.time_ns
    assert dict(span.attributes) == {"n": 1, "7": "[1, 'a']", "late": "{'a': 1}"}
    assert dict(end.attributes) == dict(span.attributes)
    assert repr(span) == "TraceSpan('work', success)"
    assert trace.spans[0].parent_id is None
    with pytest.raises(TypeError):
        span.attributes["n"] = 2  # type: ignore[index]


def test_other_spans_between_do_not_break_the_tree(records: RecordCapture) -> None:
    """A span that is started within another library's span is a child of the one around that."""
    trace = StructuredTrace()

    @auto_span
    def service() -> None:
        with with_span("deep"), trace.with_span("inner"):
            pass
        with trace.with_span("second"):
            pass

    with trace.with_span("outer"):
        service()
    with with_span("foreign"), trace.with_span("root"):
        pass
    assert tree(trace.spans) == {"outer": {"inner": {}, "second": {}}, "root": {}}
    assert records.of("inner")[0].parent_span_id == records.of("deep")[0].span_id


def test_two_traces_in_turn_keep_their_own_spans() -> None:
    """Spans of another structured trace between are not in the tree."""
    first, second = StructuredTrace(), StructuredTrace()
    with first.with_span("a"), second.with_span("b"), first.with_span("c"):
        pass
    assert tree(second.spans) == {"b": {}}
    assert tree(first.spans) == {"a": {}, "c": {}}


def test_a_trace_is_not_kept_by_the_context() -> None:
    """When the program drops a structured trace, its spans are collected."""
    trace = StructuredTrace()
    with trace.with_span("a"):
        pass
    span = weakref.ref(trace.spans[0])
    del trace
    gc.collect()
    assert span() is None


End: TypeAlias = "Callable[[StructuredTrace, TraceSpan], None]"
ENDINGS: list[tuple[End, str, tuple[str, str] | None]] = [
    (lambda trace, span: trace.end_span(span), "success", ("ok", "")),
    (lambda trace, span: trace.end_span(span, "ok"), "success", ("ok", "")),
    (lambda trace, span: trace.end_span(span, "failure", "no money"), "failure", None),
    (lambda trace, span: trace.end_span(span, "error", "no disk"), "error", None),
    (
        lambda trace, span: trace.end_span(span, error=ValueError("bad")),
        "error",
        ("error", "ValueError: bad"),
    ),
]


@pytest.mark.parametrize(
    ("end", "status", "recorded"),
    ENDINGS,
    ids=["default", "ok", "failure", "error", "exception"],
)
def test_statuses(
    end: End,
    status: str,
    recorded: tuple[str, str] | None,
    records: RecordCapture,
) -> None:
    """A span that is ended by hand has the status that it was ended with."""
    trace = StructuredTrace()
    span = trace.start_span("work")
    assert current_span() is span.span
    end(trace, span)
    assert current_span() is not span.span
    assert span.status == status
    found = records.of("work")[1].status
    assert found is not None
    if recorded is not None:
        assert found == recorded
    else:
        assert found.code == "error"
        assert found.description in {"no money", "no disk"}


def test_a_cancelled_span_is_a_failure() -> None:
    """Its record has no status; a structured trace, which knows none, shows a failure."""
    trace = StructuredTrace()
    with pytest.raises(asyncio.CancelledError), trace.with_span("work"):
        raise asyncio.CancelledError
    assert [(span.status, type(span.error)) for span in trace.spans] == [
        ("failure", asyncio.CancelledError)
    ]


class Lazy:
    """An object that is made on first use, and cannot be now."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise RuntimeError("no database")

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_attributes_that_cannot_be_read_do_no_harm(records: RecordCapture) -> None:
    """A value is a short text, and a key without a text loses the attributes."""
    trace = StructuredTrace()
    with trace.with_span("value", attributes={"user": Lazy()}) as span:
        span.set_attribute("again", Lazy())
    with trace.with_span("key", attributes={Lazy(): 1}):  # type: ignore[dict-item]
        pass
    found = records.of("value")[1].attributes
    assert all("Lazy object at" in str(found[name]) for name in ("user", "again"))
    assert records.of("key")[1].attributes == {}


def test_the_exception_that_ended_a_span() -> None:
    """The span keeps the first exception that it was ended with."""
    trace = StructuredTrace()
    error = ValueError("bad")
    with pytest.raises(ValueError, match="bad"), trace.with_span("work") as span:
        raise error
    trace.end_span(span, error=KeyError("later"))
    assert (span.error, span.status) == (error, "error")


def test_what_is_not_a_span_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """Ending what is not a span of the trace does nothing but a report."""
    StructuredTrace().end_span(None)  # type: ignore[arg-type]
    assert "StructuredTrace.end_span: None is not a TraceSpan" in capfd.readouterr().err


def test_a_function_in_a_span(records: RecordCapture) -> None:
    """Its result is returned, its exception passes through, its `Failure` marks the span."""
    trace = StructuredTrace()
    failure = Failure("declined", {"code": 51})
    assert trace.with_span("sum", lambda: 3, {"n": 1}) == 3
    assert trace.with_span("charge", lambda: failure) is failure
    with pytest.raises(ZeroDivisionError):
        trace.with_span("divide", lambda: 1 // 0)
    with trace.with_span("marked"):
        mark_failure("by the block")
    assert [span.status for span in trace.spans] == ["success", "failure", "error", "failure"]
    assert records.of("sum")[0].attributes == {"n": 1}
    assert records.of("charge")[1].status == ("error", "declined")
    assert isinstance(trace.spans[2].error, ZeroDivisionError)


def test_coroutine_functions_in_spans(records: RecordCapture) -> None:
    """Concurrent coroutines have spans of their own below the one around them."""
    trace = StructuredTrace()

    async def work(name: str) -> str:
        await asyncio.sleep(0)
        with trace.with_span(f"{name} inner"):
            await asyncio.sleep(0)
        return name

    async def main() -> list[str]:
        return await asyncio.gather(
            *(trace.with_span_async(name, lambda name=name: work(name)) for name in "abc")  # type: ignore[misc]
        )

    assert trace.with_span("all", lambda: asyncio.run(main())) == ["a", "b", "c"]
    assert tree(trace.spans) == {"all": {name: {f"{name} inner": {}} for name in "abc"}}
    for name in "abc":
        assert records.of(f"{name} inner")[0].parent_span_id == records.of(name)[0].span_id


def test_coroutines_that_fail(records: RecordCapture) -> None:
    """Exceptions, failures and cancellations of coroutines decide the status."""
    trace = StructuredTrace()

    async def bad() -> None:
        raise ValueError("bad")

    async def failed() -> Failure:
        return Failure("declined")

    started: list[asyncio.Event] = []

    async def forever() -> None:
        started[0].set()
        await asyncio.Event().wait()

    async def main() -> None:
        started.append(asyncio.Event())
        with pytest.raises(ValueError, match="bad"):
            await trace.with_span_async("bad", bad)
        await trace.with_span_async("failed", failed, {"n": 1})
        task = asyncio.create_task(trace.with_span_async("cancelled", forever))
        await started[0].wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [(span.operation, span.status) for span in trace.spans[:2]] == [
        *(("bad", "error"), ("failed", "failure"))
    ]
    assert records.of("cancelled")[1].status == ("unset", "")


def test_a_child_in_a_thread() -> None:
    """A span in a thread that took the context is a child of the span there."""
    trace = StructuredTrace()
    with trace.with_span("outer"):
        on_thread(carried(lambda: trace.with_span("inner", lambda: None)))
        on_thread(lambda: trace.with_span("alone", lambda: None))
    assert tree(trace.spans) == {"outer": {"inner": {}}, "alone": {}}


def test_the_number_of_spans_is_bounded(records: RecordCapture) -> None:
    """Spans beyond the limit are recorded and counted, and are not in the tree."""
    trace = StructuredTrace(max_spans=2)
    with trace.with_span("a"), trace.with_span("b"), trace.with_span("c"), trace.with_span("d"):
        trace.info("in d")
    with trace.with_span("e"):
        pass
    assert tree(trace.spans) == {"a": {"b": {}}}
    assert trace.dropped_spans == 3
    assert len(records.spans) == 10
    assert [event.name for event in records.of("d")[1].events] == ["in d"]


@pytest.mark.parametrize("limit", ["max_spans", "max_events"])
def test_limits_are_positive(limit: str) -> None:
    """A limit that is not a positive number is refused."""
    with pytest.raises(ConfigError, match=f"{limit}=0 is not a positive number"):
        StructuredTrace(**{limit: 0})


def test_old_code_without_spans() -> None:
    """Code of a flat trace, without a span anywhere, leaves the same log and no span."""
    plain, trace = TraceLog(), StructuredTrace()
    for target in (plain, trace):
        target.info("begun", "Service")
        target.success("done")
    assert [entry[:4] for entry in trace.logs] == [entry[:4] for entry in plain.logs]
    assert (trace.spans, trace.dropped_events) == ([], 0)


def test_spans_that_are_not_sampled() -> None:
    """A span that the sampler drops has an id and a place in the tree, and no times."""
    trace = StructuredTrace()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    with as_global(provider), trace.with_span("a", attributes={"n": 1}) as span:
        trace.with_span("b", lambda: trace.info("message"))
    assert tree(trace.spans) == {"a": {"b": {}}}
    assert (len(span.id), span.status) == (16, "success")
    assert (span.start_ns, span.duration_ns, dict(span.attributes)) == (None, None, {})
    assert len(trace.logs) == 1


def test_unsampled_spans_end_as_they_were_ended() -> None:
    """Each knows its status, and the next one is not its child."""
    trace = StructuredTrace()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    with as_global(provider):
        trace.end_span(trace.start_span("ok"))
        trace.end_span(trace.start_span("failed"), "failure", "declined")
        with pytest.raises(ValueError, match="bad"), trace.with_span("raised"):
            raise ValueError("bad")
        with pytest.raises(asyncio.CancelledError), trace.with_span("cancelled"):
            raise asyncio.CancelledError
        left = trace.start_span("open")
    assert [(span.operation, span.status) for span in trace.spans] == [
        *(("ok", "success"), ("failed", "failure"), ("raised", "error")),
        *(("cancelled", "failure"), ("open", "active")),
    ]
    trace.end_span(left)


def test_a_block_can_be_entered_within_itself(records: RecordCapture) -> None:
    """Each entry of one `with_span` block is a span of its own."""
    trace = StructuredTrace()
    block = trace.with_span("again")
    with block as outer, block as inner:
        assert inner.parent is outer
    assert tree(trace.spans) == {"again": {"again": {}}}
    assert records.open == []
