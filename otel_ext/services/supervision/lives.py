"""Runs one life of a child, on a thread or as an asyncio task, inside a span of its own."""

from __future__ import annotations

import threading
from contextlib import suppress
from contextvars import ContextVar
from inspect import iscoroutine
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from opentelemetry.context import Context
from opentelemetry.trace import Link

from otel_ext.context.current import enter, open_span
from otel_ext.context.outcome import finish
from otel_ext.errors import ConfigError
from otel_ext.inflight.origin import NOWHERE, Origin
from otel_ext.record.capture import current_task, current_thread
from otel_ext.runtime.guard import describe
from otel_ext.services.supervision.context import ChildContext

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Awaitable, Callable

    from opentelemetry.trace import Span, SpanContext
    from opentelemetry.util.types import AttributeValue

__all__ = ["INSIDE", "Reports", "TaskLife", "ThreadLife", "Work"]

INSIDE: Final[ContextVar[tuple[object, ...]]] = ContextVar("otel_ext-supervisors", default=())
"""The supervisors around the code that runs here, the outermost first."""


class Work(NamedTuple):
    """What a life runs.

    Attributes:
        name: The name of the child.
        supervisor: The id of its supervisor.
        number: The number of the life.
        target: What is called.
        args: Its arguments after the context.
        before: The span of the life before; None for the first.
        inside: The supervisors around it, the outermost first.
    """

    name: str
    supervisor: str
    number: int
    target: object
    args: tuple[object, ...]
    before: SpanContext | None
    inside: tuple[object, ...]

    @property
    def id(self) -> str:
        """The child's id."""
        return f"{self.supervisor}/{self.name}"


class Reports(Protocol):
    """Takes what happens to a life, from any thread."""

    def began(self, life: object) -> None:
        """Take that it runs."""
        ...

    def ready(self, life: object) -> None:
        """Take that it is ready."""
        ...

    def exited(self, life: object, error: str) -> None:
        """Take that it has ended, and why, unless it has returned."""
        ...


class _Running:
    """What both kinds of life share."""

    def __init__(self, work: Work, reports: Reports) -> None:
        self.work = work
        self.origin: Origin = NOWHERE
        self.span_context: SpanContext | None = None
        self.has_ended = False
        self._is_ready = False
        self._reports = reports
        self.context = ChildContext(work.id, work.number, self._ready)

    def _ready(self) -> None:
        if not self._is_ready:  # a child may call it in a loop
            self._is_ready = True
            self._reports.ready(self)

    def _end(self, error: str) -> None:
        self.has_ended = True
        self._reports.exited(self, error)

    def _open(self) -> Span:
        """Start the span of the life, make it the current one, and report that it runs."""
        work = self.work
        INSIDE.set(work.inside)
        links = () if work.before is None else (Link(work.before),)
        attributes: dict[str, AttributeValue] = {
            "supervisor": work.supervisor,
            "child": work.name,
            "life": work.number,
        }
        # A trace of its own: it may last longer than the span that started the supervisor.
        span = open_span(work.name, attributes, Context(), links)
        enter(span)
        context = span.get_span_context()
        thread, task = current_thread(), current_task()
        self.origin = Origin(thread=thread, task=task)
        if context.is_valid:
            self.span_context = context
            self.origin = self.origin._replace(
                trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}"
            )
        self._reports.began(self)
        return span


class ThreadLife(_Running):
    """A life on a daemon thread. It ends when its target returns or raises; nothing else ends it.

    Args:
        work: What it runs.
        reports: Takes what happens.
        on_ask: Called besides setting `stopping`, with the deadline.
    """

    def __init__(
        self, work: Work, reports: Reports, on_ask: Callable[[float], object] | None = None
    ) -> None:
        super().__init__(work, reports)
        self._on_ask = on_ask

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: The system has no more threads.
        """
        # Not a native thread: with gevent, a child is a greenlet like the program's others.
        threading.Thread(target=self._run, name=self.work.id, daemon=True).start()

    def ask(self, until: float) -> None:
        """Set `stopping`."""
        self.context.stop()
        if self._on_ask is not None:
            self._on_ask(until)

    def force(self) -> bool:
        """Return False: Python cannot end a thread."""
        return False

    def _run(self) -> None:
        failure: BaseException | None = None
        span = self._open()
        try:
            target = cast("Callable[..., object]", self.work.target)
            _refuse_coroutine(target(self.context, *self.work.args), self.work.name)
        except BaseException as error:  # noqa: BLE001 - whatever ends it, it is started again
            failure = error
        finish(span, failure)
        self._end(_text_of(failure))


class TaskLife(_Running):
    """A life as an asyncio task.

    Args:
        work: What it runs.
        reports: Takes what happens.
        loop: The event loop, which runs on another thread than the supervisor's.
    """

    def __init__(self, work: Work, reports: Reports, loop: AbstractEventLoop) -> None:
        super().__init__(work, reports)
        self._loop = loop
        self._task: Task[None] | None = None
        self._error = ""

    def start(self) -> None:
        """Start the task, as soon as the loop has time.

        Raises:
            RuntimeError: The loop is closed.
        """
        self._loop.call_soon_threadsafe(self._create)

    def ask(self, until: float) -> None:
        """Set `stopping`; cancel the task if it has never looked at that."""
        try:
            self._loop.call_soon_threadsafe(self._ask)
        except RuntimeError:
            self._end("the event loop is closed")

    def force(self) -> bool:
        """Cancel the task."""
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            return False
        return True

    def _create(self) -> None:
        coroutine = self._run()
        try:
            self._task = self._loop.create_task(coroutine, name=self.work.id)
            self._task.add_done_callback(self._done)
        except Exception as error:  # noqa: BLE001 - such as one of the program's task factory
            with suppress(Exception):
                coroutine.close()
            self._end(f"it cannot start: {describe(error)}")

    def _ask(self) -> None:
        self.context.stop()
        if not self.context.has_asked:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: Task[None]) -> None:
        error = self._error
        if task.cancelled():
            error = "CancelledError"
        elif failure := task.exception():
            error = _text_of(failure)
        self._task = None
        self._end(error)

    async def _run(self) -> None:
        failure: BaseException | None = None
        span = self._open()
        try:
            target = cast("Callable[..., Awaitable[object]]", self.work.target)
            await target(self.context, *self.work.args)
        except SystemExit as error:  # asyncio would end the loop
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever ends it, it is started again
            failure = error
        except BaseException as error:  # cancellation, and Ctrl-C, which is for the program
            finish(span, error)
            self._error = _text_of(error)
            raise
        finish(span, failure)
        self._error = _text_of(failure)


def _text_of(error: BaseException | None) -> str:
    """Return why a life has ended; empty if it has returned, or left by `sys.exit(0)`."""
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return ""
    return describe(error)


def _refuse_coroutine(result: object, name: str) -> None:
    if iscoroutine(result):
        result.close()
        raise ConfigError(
            f"child {name!r}: its target has returned a coroutine",
            hint="Add the coroutine function itself, to a supervisor that `async with` starts.",
        )
