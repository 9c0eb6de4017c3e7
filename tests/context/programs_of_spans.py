"""Programs of nested spans, made by hypothesis or at random, and what must become of them.

A model follows each span by explicit arguments, never by the context, and notes what its
parent is and which exception has left it. Afterwards the records must show just that.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from opentelemetry.trace import get_current_span
from structlog.contextvars import get_contextvars

from otel_ext.context.auto import auto_span
from otel_ext.context.error_context import with_context
from otel_ext.context.manual import current_span, end_span, start_span
from otel_ext.context.outcome import Failure, mark_failure
from otel_ext.context.spans import with_span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from random import Random

    from opentelemetry.trace import Span

    from otel_ext.testing import RecordCapture

__all__ = ["FORMS", "OUTCOMES", "Model", "Node", "random_node"]

Form: TypeAlias = Literal["block", "decorated", "auto", "by hand", "generator"]
Outcome: TypeAlias = Literal["ok", "failure", "error", "exit", "cancelled"]

FORMS: Final[tuple[Form, ...]] = ("block", "decorated", "auto", "by hand", "generator")
OUTCOMES: Final[tuple[Outcome, ...]] = ("ok", "failure", "error", "exit", "cancelled")


class Node(NamedTuple):
    """One span of a program, and those in it.

    Attributes:
        form: How the span is made.
        outcome: How its body ends, unless something in it ends it before.
        spreads: Whether its exceptions reach the span around it.
        is_task: Whether it runs as a task of its own, which may outlive the span around it.
        children: The spans in it.
    """

    form: Form = "block"
    outcome: Outcome = "ok"
    spreads: bool = False
    is_task: bool = False
    children: tuple[Node, ...] = ()


def random_node(random: Random, depth: int = 3) -> Node:
    """Return a program at random, most of whose spans end well."""
    return Node(
        random.choice(FORMS),
        random.choice(OUTCOMES) if random.random() < 0.4 else "ok",
        random.random() < 0.3,
        random.random() < 0.3,
        tuple(random_node(random, depth - 1) for _ in range(random.randrange(depth))),
    )


class Model:
    """Runs programs, and knows the parent and the status that each span must have."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self._expected: dict[str, tuple[str, str]] = {}
        self._numbers = count()

    def add(self, other: Model) -> None:
        """Expect what another model expects too."""
        self._expected.update(other._expected)

    def check(self, records: RecordCapture) -> None:
        """Check that each span has ended, and has the parent and status of the model."""
        assert records.open == []
        ends = [record for record in records.spans if record.phase == "end"]
        found = {
            record.span_id: (record.parent_span_id, record.status.code if record.status else "")
            for record in ends
        }
        assert found == self._expected
        assert len(ends) == len(self._expected)

    async def run(self, node: Node, parent: Span | None = None) -> None:
        """Run a program whose outermost span has this parent, in a task."""
        outside, fields = get_current_span(), get_contextvars()
        seen: list[Span] = []
        marked: list[Failure] = []

        async def body() -> Failure | None:
            span = self._begin(seen, parent)
            number = next(self._numbers)
            with with_context(number=number, **{f"field_{number % 3}": number}):
                for child in node.children:
                    if child.is_task:
                        self.tasks.append(asyncio.create_task(self.run(child, span)))
                    else:
                        await self.run(child, span)
                    await asyncio.sleep(0)
                    self._check_inside(span, number)
                await asyncio.sleep(0)
                self._check_inside(span, number)
                if (failure := _end(node)) is not None:
                    marked.append(failure)
                return failure

        error = None
        try:
            await _ASYNC[node.form](body)
        except BaseException as caught:  # noqa: BLE001 - noted, and raised again by choice
            error = caught
        self._note(seen, parent, marked, error)
        assert get_current_span() is outside
        assert get_contextvars() == fields
        if node.spreads and isinstance(error, (Exception, asyncio.CancelledError)):
            raise error

    def call(self, node: Node, parent: Span | None = None) -> None:
        """Run a program whose outermost span has this parent, in functions."""
        outside, fields = get_current_span(), get_contextvars()
        seen: list[Span] = []
        marked: list[Failure] = []

        def body() -> Failure | None:
            span = self._begin(seen, parent)
            number = next(self._numbers)
            with with_context(number=number, **{f"field_{number % 3}": number}):
                for child in node.children:
                    self.call(child, span)
                    self._check_inside(span, number)
                if (failure := _end(node)) is not None:
                    marked.append(failure)
                return failure

        error = None
        try:
            _SYNC[node.form](body)
        except BaseException as caught:  # noqa: BLE001 - noted, and raised again by choice
            error = caught
        self._note(seen, parent, marked, error)
        assert get_current_span() is outside
        assert get_contextvars() == fields
        if node.spreads and isinstance(error, (Exception, asyncio.CancelledError)):
            raise error

    @staticmethod
    def _begin(seen: list[Span], parent: Span | None) -> Span:
        span = current_span()
        assert span is not parent
        assert span.is_recording()
        seen.append(span)
        return span

    @staticmethod
    def _check_inside(span: Span, number: int) -> None:
        assert current_span() is span
        assert get_contextvars()["number"] == number

    def _note(
        self,
        seen: list[Span],
        parent: Span | None,
        marked: list[Failure],
        error: BaseException | None,
    ) -> None:
        (span,) = seen
        assert not span.is_recording()
        assert not isinstance(error, AssertionError), error
        code = "ok"
        if marked or isinstance(error, Exception):
            code = "error"
        elif isinstance(error, asyncio.CancelledError):
            code = "unset"
        above = "" if parent is None else f"{parent.get_span_context().span_id:016x}"
        self._expected[f"{span.get_span_context().span_id:016x}"] = above, code


def _end(node: Node) -> Failure | None:
    """End the body of a span as it is to end."""
    if node.outcome == "error":
        raise ValueError("no")
    if node.outcome == "exit":
        raise SystemExit(0)
    if node.outcome == "cancelled":
        raise asyncio.CancelledError
    if node.outcome == "failure":
        if node.form == "generator":
            mark_failure("declined")
        return Failure("declined")
    return None


async def _block_async(body: Callable[[], Awaitable[Failure | None]]) -> Failure | None:
    async with with_span("block"):
        if (result := await body()) is not None:
            mark_failure(result.reason)
        return result


async def _decorated_async(body: Callable[[], Awaitable[Failure | None]]) -> Failure | None:
    @with_span("decorated")
    async def work() -> Failure | None:
        return await body()

    return await work()


async def _auto_async(body: Callable[[], Awaitable[Failure | None]]) -> Failure | None:
    @auto_span
    async def auto() -> Failure | None:
        return await body()

    return await auto()


async def _by_hand_async(body: Callable[[], Awaitable[Failure | None]]) -> Failure | None:
    span = start_span("by hand")
    try:
        result = await body()
    except BaseException as error:
        end_span(span, error=error)
        raise
    end_span(span, "ok" if result is None else "failure", "declined")
    return result


async def _generator_async(body: Callable[[], Awaitable[Failure | None]]) -> Failure | None:
    @auto_span(name="generator")
    async def items() -> AsyncGenerator[Failure | None, None]:
        yield await body()
        yield None

    outside, found = get_current_span(), None
    async with aclosing(items()) as iterator:
        async for item in iterator:
            assert get_current_span() is outside
            found = found or item
            await asyncio.sleep(0)  # here, a cancellation closes the generator
            assert get_current_span() is outside
    return found


def _block(body: Callable[[], Failure | None]) -> Failure | None:
    with with_span("block"):
        if (result := body()) is not None:
            mark_failure(result.reason)
        return result


def _by_hand(body: Callable[[], Failure | None]) -> Failure | None:
    span = start_span("by hand")
    try:
        result = body()
    except BaseException as error:
        end_span(span, error=error)
        raise
    end_span(span, "ok" if result is None else "failure", "declined")
    return result


def _generator(body: Callable[[], Failure | None]) -> Failure | None:
    @auto_span(name="generator")
    def items() -> Generator[Failure | None, None, None]:
        yield body()
        yield None

    outside, found = get_current_span(), None
    for item in items():
        assert get_current_span() is outside
        found = found or item
    return found


_ASYNC: Final[dict[Form, Callable[..., Awaitable[Failure | None]]]] = {
    "block": _block_async,
    "decorated": _decorated_async,
    "auto": _auto_async,
    "by hand": _by_hand_async,
    "generator": _generator_async,
}
_SYNC: Final[dict[Form, Callable[[Any], Failure | None]]] = {
    "block": _block,
    "decorated": lambda body: with_span("decorated")(body)(),
    "auto": lambda body: auto_span(name="auto")(body)(),
    "by hand": _by_hand,
    "generator": _generator,
}
