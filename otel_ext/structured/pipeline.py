"""`Pipeline` and `PipelineStage`: steps that pass a context on, each traced by itself.

The spans belong to the `StructuredTrace` that the context holds, as its attribute or key
`trace`; a later context need not have it. With a flat trace or none, the stages run as if
tracing did not exist.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from otel_ext.context.outcome import Failure
from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.short_repr import short_repr
from otel_ext.structured.pipeline_result import Ended, PipelineResult, Skipped
from otel_ext.structured.structured_trace import StructuredTrace

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from otel_ext.structured.span_block import SpanBlock
    from otel_ext.structured.trace_span import TraceSpan

__all__ = ["Pipeline", "PipelineStage"]

R = TypeVar("R")

StageFunction: TypeAlias = "Callable[[Any], object]"

_SKIPPED: Final = "pipeline.skipped"
_ENDED: Final = "pipeline.ended"


class PipelineStage:
    """One step of a pipeline; override `execute_internal`, or pass a function.

    Args:
        name: Its name, also that of its span; by default the name of the function or class.
        function: Takes the context; a coroutine function for `Pipeline.run_async`.

    >>> class Double(PipelineStage):
    ...     def execute_internal(self, context: int) -> int:
    ...         return context * 2
    >>> Double().name, Pipeline([Double(), lambda context: context + 1]).run(4).context
    ('Double', 9)
    """

    def __init__(self, name: str = "", function: StageFunction | None = None) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(self).__name__))

    def execute_internal(self, context: Any) -> object:  # noqa: ANN401 - the program's own
        """Do the work of the stage; may be a coroutine function.

        Args:
            context: What the stage before has returned.

        Returns:
            The new context; None to keep this one; `Skipped`, `Ended` or `Failure`.
        """
        if self.function is None:
            raise ConfigError(
                f"the stage {self.name!r} has no work",
                hint="Override execute_internal, or pass a function.",
            )
        return self.function(context)

    def execute(self, context: object) -> object:
        """Do the work in a span, outside of a pipeline.

        Args:
            context: What `execute_internal` gets; its structured trace has the span.

        Returns:
            What `execute_internal` returns, a coroutine if that is a coroutine function.
        """
        is_async = inspect.iscoroutinefunction(self.execute_internal)
        running = _run_stage(self, context, _trace_in(context), is_async=is_async)
        return running if is_async else _result_of(running)


class Pipeline:
    """Runs stages in order, each with the context that the one before has returned.

    Args:
        stages: Stages, or functions that become stages.
        name: The name of the root span.

    Raises:
        ConfigError: A stage is neither.

    >>> pipeline = Pipeline([lambda context: {**context, "total": 3}], name="checkout")
    >>> result = pipeline.run({"trace": StructuredTrace()})
    >>> result.context["total"], result.ok
    (3, True)
    """

    def __init__(
        self, stages: Iterable[PipelineStage | StageFunction], *, name: str = "Pipeline"
    ) -> None:
        self.name = name
        self.stages = tuple(map(_stage_of, stages))

    def run(self, context: object) -> PipelineResult:
        """Run the stages; the exception of a stage passes through.

        Args:
            context: What the first stage gets.

        Raises:
            ConfigError: A stage is a coroutine function.
        """
        return _result_of(self._run(context, is_async=False))

    async def run_async(self, context: object) -> PipelineResult:
        """Run the stages, coroutine functions or not; the exception of a stage passes through.

        Args:
            context: What the first stage gets.
        """
        return await self._run(context, is_async=True)

    async def _run(self, context: object, *, is_async: bool) -> PipelineResult:
        completed: list[str] = []
        skipped: list[str] = []
        ended: str | None = None
        failure: Failure | None = None
        trace = _trace_in(context)
        block = _span(trace, self.name, {"stages": len(self.stages)})
        with block:
            for stage in self.stages:
                trace = _trace_in(context) if trace is None else trace
                returned = await _run_stage(stage, context, trace, is_async=is_async)
                (skipped if type(returned) is Skipped else completed).append(stage.name)
                if type(returned) is Failure:
                    failure = block.result = returned
                    completed.pop()
                    break
                if type(returned) is Ended:
                    ended = returned.reason
                    context = context if returned.context is None else returned.context
                    _note(block, _ENDED, f"{stage.name}: {ended}")
                    break
                if returned is not None and type(returned) is not Skipped:
                    context = returned
        return PipelineResult(context, tuple(completed), tuple(skipped), ended, failure)


class _NoSpan:
    """Does nothing, where the context has no structured trace."""

    result: object = None
    span: TraceSpan | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def _trace_in(context: object) -> StructuredTrace | None:
    """Return the structured trace of a context, if it has one."""
    try:
        if isinstance(context, Mapping):
            trace = cast("Mapping[object, object]", context).get("trace")
        else:
            trace = getattr(context, "trace", None)
    except Exception as error:  # noqa: BLE001 - the stages must run
        report_problem("Pipeline: a context has no readable trace", error)
        trace = None
    return trace if isinstance(trace, StructuredTrace) else None


def _span(
    trace: StructuredTrace | None, name: str, attributes: Mapping[str, object]
) -> SpanBlock | _NoSpan:
    return _NoSpan() if trace is None else trace.with_span(name, attributes=attributes)


def _result_of(running: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never waits."""
    try:
        running.send(None)
    except StopIteration as done:
        return cast("R", done.value)
    raise AssertionError


def _note(block: SpanBlock | _NoSpan, key: str, value: str) -> None:
    if block.span is not None:
        block.span.set_attribute(key, value)


async def _run_stage(
    stage: PipelineStage, context: object, trace: StructuredTrace | None, *, is_async: bool
) -> object:
    block = _span(trace, stage.name, {"stage": stage.name})
    with block:
        if not is_async and inspect.iscoroutinefunction(stage.execute_internal):
            raise _is_coroutine(stage)
        returned = stage.execute_internal(context)
        if inspect.isawaitable(returned):
            if not is_async:
                if inspect.iscoroutine(returned):
                    returned.close()
                raise _is_coroutine(stage)
            returned = await returned
        block.result = returned
        if type(returned) is Skipped:
            _note(block, _SKIPPED, returned.reason or "nothing to do")
        return returned


def _is_coroutine(stage: PipelineStage) -> ConfigError:
    return ConfigError(
        f"the stage {stage.name!r} is a coroutine function",
        hint="Use: await pipeline.run_async(context).",
    )


def _stage_of(stage: object) -> PipelineStage:
    if isinstance(stage, PipelineStage):
        return stage
    if isinstance(stage, type) or not callable(stage):
        raise ConfigError(
            f"{short_repr(stage)} is not a stage", hint="Pass a PipelineStage or a function."
        )
    return PipelineStage(function=cast("StageFunction", stage))
