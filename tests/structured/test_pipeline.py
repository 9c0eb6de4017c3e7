"""`Pipeline`: stages in order, each in a span of its own if the context has a structured trace."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from otel_ext.context import Failure, with_span
from otel_ext.errors import ConfigError
from otel_ext.structured import (
    Ended,
    Pipeline,
    PipelineResult,
    PipelineStage,
    Skipped,
    StructuredTrace,
    TraceLog,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.testing import RecordCapture

Context = dict[str, Any]


def add_one(context: Context) -> Context:
    """Add one to the number."""
    return {**context, "n": context["n"] + 1}


async def double(context: Context) -> Context:
    """Double the number, later."""
    await asyncio.sleep(0)
    return {**context, "n": context["n"] * 2}


class Note(PipelineStage):
    """A stage of the program's own class, which keeps the context."""

    def execute_internal(self, context: Context) -> None:
        """Write a log."""
        if context["trace"] is not None:
            context["trace"].info(f"n is {context['n']}", "Note")


class Later(PipelineStage):
    """A stage with a coroutine method."""

    async def execute_internal(self, context: Context) -> Context:
        """Subtract three."""
        await asyncio.sleep(0)
        return {**context, "n": context["n"] - 3}


def run(pipeline: Pipeline, context: object, *, is_async: bool) -> PipelineResult:
    """Run a pipeline in one of the two ways."""
    return asyncio.run(pipeline.run_async(context)) if is_async else pipeline.run(context)


BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["run", "run_async"])
TRACES = pytest.mark.parametrize("make", [StructuredTrace, TraceLog, lambda: None])


def shown(trace: StructuredTrace) -> list[tuple[str, str]]:
    """Return the operation and status of the root span and of its children."""
    (root,) = trace.spans
    return [(span.operation, span.status) for span in (root, *root.children)]


@BOTH
@TRACES
def test_sync_stages(make: Callable[[], Any], is_async: bool, records: RecordCapture) -> None:
    """The context passes through the stages, with the same result for any trace or none."""
    trace = make()
    pipeline = Pipeline([add_one, Note(), PipelineStage("again", add_one)], name="sums")
    result = run(pipeline, {"n": 1, "trace": trace}, is_async=is_async)
    assert result == PipelineResult({"n": 3, "trace": trace}, ("add_one", "Note", "again"))
    assert result.ok
    if not isinstance(trace, StructuredTrace):
        assert records.spans == []
        return
    assert [entry.message for entry in trace.logs] == ["n is 2"]
    assert shown(trace) == [(name, "success") for name in ("sums", "add_one", "Note", "again")]
    root = records.of("sums")[0]
    assert root.attributes == {"stages": 3}
    for name in ("add_one", "Note", "again"):
        start, end = records.of(name)
        assert (start.parent_span_id, end.attributes["stage"]) == (root.span_id, name)
    assert [event.name for event in records.of("Note")[1].events] == ["n is 2"]


@TRACES
def test_async_and_mixed_stages(make: Callable[[], Any]) -> None:
    """`run_async` awaits the stages that are coroutine functions, and calls the others."""
    trace = make()
    pipeline = Pipeline([add_one, double, Later(), Note(), partial(double)])
    result = run(pipeline, {"n": 4, "trace": trace}, is_async=True)
    assert result.context["n"] == 14  # type: ignore[index]
    assert result.completed == ("add_one", "double", "Later", "Note", "PipelineStage")
    if isinstance(trace, StructuredTrace):
        assert [name for name, _ in shown(trace)] == ["Pipeline", *result.completed]


@pytest.mark.parametrize("stage", [double, Later()], ids=["function", "class"])
def test_a_coroutine_stage_needs_run_async(
    stage: PipelineStage | Callable[[Any], object], records: RecordCapture
) -> None:
    """In `run` a coroutine stage is an error with the way out, and no coroutine is left."""
    trace = StructuredTrace()
    with pytest.raises(ConfigError, match=r"is a coroutine function. Use: await pipeline.run_asy"):
        Pipeline([add_one, stage]).run({"n": 1, "trace": trace})
    assert [status for _, status in shown(trace)] == ["error", "success", "error"]
    assert records.open == []


def test_a_later_context_need_not_have_the_trace() -> None:
    """The stages after one that returns a context without it are traced all the same."""
    trace = StructuredTrace()
    pipeline = Pipeline([lambda _: 1, PipelineStage("more", lambda number: number + 1)])
    assert pipeline.run({"trace": trace}).context == 2
    assert [name for name, _ in shown(trace)] == ["Pipeline", "<lambda>", "more"]


def test_a_stage_alone() -> None:
    """`execute` runs one stage in a span, without a pipeline; without a trace it just runs."""
    trace = StructuredTrace()
    assert PipelineStage("one", add_one).execute({"n": 1, "trace": trace})["n"] == 2  # type: ignore[index]
    later = asyncio.run(cast("Any", Later().execute({"n": 1, "trace": trace})))
    assert later["n"] == -2
    assert [span.operation for span in trace.spans] == ["one", "Later"]
    assert PipelineStage("one", add_one).execute({"n": 1, "trace": None})["n"] == 2  # type: ignore[index]


@BOTH
def test_a_stage_that_skips(is_async: bool, records: RecordCapture) -> None:
    """The next stage gets the same context; the span says why."""
    trace = StructuredTrace()

    def idle(_context: Context) -> Skipped:
        return Skipped("no targets")

    def bare(_context: Context) -> Skipped:
        return Skipped()

    pipeline = Pipeline([idle, bare, add_one])
    result = run(pipeline, {"n": 1, "trace": trace}, is_async=is_async)
    assert result == PipelineResult({"n": 2, "trace": trace}, ("add_one",), ("idle", "bare"))
    assert records.of("idle")[1].attributes["pipeline.skipped"] == "no targets"
    assert records.of("bare")[1].attributes["pipeline.skipped"] == "nothing to do"
    assert {status for _, status in shown(trace)} == {"success"}


@BOTH
@pytest.mark.parametrize("final", [None, {"n": 100}], ids=["kept", "replaced"])
def test_a_stage_that_ends_early(
    final: Context | None,
    is_async: bool,
    records: RecordCapture,
) -> None:
    """Later stages do not run; the pipeline has succeeded, and its span says why it ended."""
    trace = StructuredTrace()
    context = {"n": 1, "trace": trace}

    def enough(_context: Context) -> Ended:
        return Ended(final, "cached")

    result = run(Pipeline([enough, add_one]), context, is_async=is_async)
    assert result == PipelineResult(final or context, ("enough",), (), "cached")
    assert result.ok
    assert shown(trace) == [("Pipeline", "success"), ("enough", "success")]
    assert records.of("Pipeline")[1].attributes["pipeline.ended"] == "enough: cached"


@BOTH
@TRACES
def test_a_stage_that_fails(
    make: Callable[[], Any],
    is_async: bool,
    records: RecordCapture,
) -> None:
    """A `Failure` ends the pipeline with the context so far, and marks both spans."""
    trace = make()
    failure = Failure("no targets", [1])
    pipeline = Pipeline([add_one, PipelineStage("resolve", lambda _context: failure), add_one])
    result = run(pipeline, {"n": 1, "trace": trace}, is_async=is_async)
    assert result == PipelineResult({"n": 2, "trace": trace}, ("add_one",), failure=failure)
    assert not result.ok
    if isinstance(trace, StructuredTrace):
        assert [status for _, status in shown(trace)] == ["failure", "success", "failure"]
        assert records.of("resolve")[1].status == ("error", "no targets")
        assert records.of("Pipeline")[1].status == ("error", "no targets")


@BOTH
@TRACES
@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3)], ids=["exception", "exit"])
def test_a_stage_that_raises(
    error: BaseException,
    make: Callable[[], Any],
    is_async: bool,
    records: RecordCapture,
) -> None:
    """The exception passes through as the same object, and both spans end with it."""
    trace = make()

    def bad(_context: Context) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run(Pipeline([bad, add_one]), {"n": 1, "trace": trace}, is_async=is_async)
    assert caught.value is error
    assert records.open == []
    if isinstance(trace, StructuredTrace):
        assert shown(trace) == [("Pipeline", "error"), ("bad", "error")]
        assert [span.error for span in (trace.spans[0], *trace.spans[0].children)] == [error] * 2


def test_a_cancelled_pipeline(records: RecordCapture) -> None:
    """A cancellation passes through, and all spans end."""
    started: list[asyncio.Event] = []

    async def forever(_context: Context) -> None:
        started[0].set()
        await asyncio.Event().wait()

    async def main() -> None:
        started.append(asyncio.Event())
        task = asyncio.create_task(Pipeline([forever]).run_async({"trace": StructuredTrace()}))
        await started[0].wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert records.open == []
    assert records.of("forever")[1].status == ("unset", "")


def test_a_context_with_an_attribute() -> None:
    """The trace is found as an attribute, too."""

    class Work:
        def __init__(self) -> None:
            self.trace = StructuredTrace()

    work = Work()
    assert Pipeline([lambda _context: None], name="p").run(work).context is work
    assert shown(work.trace) == [("p", "success"), ("<lambda>", "success")]


@pytest.mark.parametrize("context", [None, 7, "text", [1], object(), {}, {"trace": 7}])
def test_any_context_runs(context: object, records: RecordCapture) -> None:
    """A context without a structured trace passes through, without spans."""
    seen: list[object] = []
    result = Pipeline([seen.append]).run(context)
    assert (result.context, seen, records.spans) == (context, [context], [])


def test_a_context_whose_trace_cannot_be_read(capfd: pytest.CaptureFixture[str]) -> None:
    """A property that raises is reported, and the stages run without spans."""

    class Broken:
        @property
        def trace(self) -> object:
            raise RuntimeError("closed")

    assert Pipeline([lambda _context: {"n": 1}]).run(Broken()).context == {"n": 1}
    assert "a context has no readable trace: RuntimeError: closed" in capfd.readouterr().err


def test_the_root_is_a_child_of_the_current_span(records: RecordCapture) -> None:
    """Within a span the pipeline's root span is its child."""
    with with_span("request"):
        Pipeline([add_one], name="sums").run({"n": 1, "trace": StructuredTrace()})
    assert records.of("sums")[0].parent_span_id == records.of("request")[0].span_id


def test_pipelines_nest(records: RecordCapture) -> None:
    """A pipeline that a stage runs is below that stage."""
    trace = StructuredTrace()
    inner = Pipeline([add_one], name="inner")
    outer = Pipeline([PipelineStage("stage", lambda context: inner.run(context).context)])
    assert outer.run({"n": 1, "trace": trace}).context == {"n": 2, "trace": trace}
    assert records.of("inner")[0].parent_span_id == records.of("stage")[0].span_id
    assert trace.spans[0].children[0].children[0].operation == "inner"


def test_an_empty_pipeline() -> None:
    """Without stages the context is the result."""
    assert Pipeline([]).run(7) == PipelineResult(7)


@pytest.mark.parametrize("stage", [7, "stage", None, Note], ids=["int", "str", "None", "class"])
def test_what_is_not_a_stage(stage: object) -> None:
    """What is neither a stage nor a function is refused when the pipeline is made."""
    with pytest.raises(ConfigError, match="is not a stage. Pass a PipelineStage or a function"):
        Pipeline([stage])  # type: ignore[list-item]


def test_a_stage_without_work() -> None:
    """A stage that neither has a function nor overrides the method is an error with the way out."""
    with pytest.raises(ConfigError, match="the stage 'idle' has no work. Override execute_int"):
        Pipeline([PipelineStage("idle")]).run(None)
