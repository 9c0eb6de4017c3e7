"""Handlers of events that raise, hang, are slow, start spans or emit events themselves."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, NoReturn

import pytest

from otel_ext.context import with_span
from otel_ext.events import Event, emit, subscribe
from otel_ext.events.subscription import in_handler
from otel_ext.runtime.counters import COUNTERS
from tests.events.heard import Heard
from tests.programs import python, succeed, wait_until, write_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.testing import RecordCapture

LIMIT = 30.0
BOTH = pytest.mark.parametrize("inline", [False, True], ids=["queued", "inline"])


class Raising:
    """A handler that counts its calls and raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, event: Event) -> None:
        """Raise, unless the event is good."""
        self.calls += 1
        if "good" not in event.measurements:
            raise self.error


class Blocking:
    """A handler that waits in its first call until it is released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.names: list[str] = []

    def __call__(self, event: Event) -> None:
        """Wait, and keep the name."""
        self.entered.set()
        self.release.wait(LIMIT)
        self.names.append(event.name)


@BOTH
def test_a_handler_that_raises_is_detached(
    inline: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """After its limit of failures in a row it gets no more events; that is reported once."""
    handler = Raising(ValueError("no"))
    failed = COUNTERS.value("events.handler_failed")
    subscription = subscribe("*", handler, inline=inline, max_failures=2)
    for _ in range(5):
        emit("a")
        subscription.flush(LIMIT)
    assert handler.calls == 2
    assert (subscription.active, subscription.detached) == (False, "ValueError: no")
    assert COUNTERS.value("events.handler_failed") - failed == 2
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "detached from '*': ValueError: no" in line] == lines[1:]
    assert len(lines) == 2


@BOTH
def test_failures_count_in_a_row(inline: bool) -> None:
    """A call that succeeds starts the count again."""
    handler = Raising(ValueError("no"))
    with subscribe("*", handler, inline=inline, max_failures=2) as subscription:
        for _ in range(3):
            emit("a")
            emit("a", {"good": 1})
        assert subscription.flush(LIMIT)
        assert (subscription.active, handler.calls) == (True, 6)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_a_handler_that_exits_does_so_only_inline(error: BaseException) -> None:
    """`sys.exit` in a handler on its own thread counts as a failure; inline it passes through."""
    handler = Raising(error)
    with subscribe("*", handler, inline=True), pytest.raises(type(error)):
        emit("a")
    subscription = subscribe("*", handler, max_failures=2)
    for _ in range(4):
        emit("a")
        subscription.flush(LIMIT)
    assert handler.calls == 3
    assert subscription.detached.startswith(type(error).__name__)


def test_a_handler_that_hangs_is_detached(capfd: pytest.CaptureFixture[str]) -> None:
    """A call that does not return within its limit is left behind, without a further event."""
    handler = Blocking()
    subscription = subscribe("*", handler, max_seconds=0.05)
    emit("first")
    assert handler.entered.wait(LIMIT)

    wait_until(lambda: not subscription.active, "that it is detached")
    assert subscription.detached == "a call has not returned for 0.05 s"
    assert capfd.readouterr().err.count("detached from '*': a call has not returned") == 1
    handler.release.set()
    wait_until(lambda: handler.names, "that the call returns")
    emit("after")
    assert subscription.flush(LIMIT)
    assert handler.names == ["first"]


def test_a_slow_inline_handler_is_detached() -> None:
    """Inline, a call that takes longer than its limit counts as a failure."""
    calls: list[str] = []

    def slow(event: Event) -> None:
        calls.append(event.name)
        threading.Event().wait(0.02)

    subscription = subscribe("*", slow, inline=True, max_seconds=0.01, max_failures=2)
    for _ in range(3):
        emit("a")
    assert calls == ["a", "a"]
    assert subscription.detached == "a call took longer than 0.01 s"


class UnprintableError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("inline", [False, True], ids=["queued", "inline"])
def test_an_exception_without_a_text_counts_like_any_other(inline: bool) -> None:
    """The handler gets the following events, and is detached after the third."""
    calls: list[str] = []

    def fail(event: Event) -> None:
        calls.append(event.name)
        raise UnprintableError

    subscription = subscribe("*", fail, inline=inline)
    for name in "abcd":
        emit(name)
        wait_until(lambda n=name: n == "d" or n in calls, "the call")  # type: ignore[misc]
    assert calls == ["a", "b", "c"]
    assert subscription.detached == "UnprintableError: <unprintable>"


def test_a_task_that_a_handler_starts_is_not_in_the_handler() -> None:
    """What it emits after the call reaches the same handler."""
    names: list[str] = []

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []

        async def later() -> None:
            emit("job.done")

        def handle(event: Event) -> None:
            names.append(event.name)
            if event.name == "job.new":
                tasks.append(asyncio.create_task(later()))

        with subscribe("job.*", handle, inline=True):
            emit("job.new")
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert names == ["job.new", "job.done"]


def test_a_cancelled_result_in_an_inline_handler_is_a_failure() -> None:
    """It does not cancel the task that emits."""

    def handle(_event: Event) -> None:
        raise asyncio.CancelledError

    subscription = subscribe("*", handle, inline=True, max_failures=1)
    emit("a")
    assert subscription.detached == "CancelledError"


def test_the_queue_is_bounded() -> None:
    """Events that do not fit are dropped and counted; the handler gets the others."""
    handler = Blocking()
    dropped = COUNTERS.value("events.dropped")
    with subscribe("*", handler, max_queued=3) as subscription:
        emit("running")
        assert handler.entered.wait(LIMIT)
        for number in range(10):
            emit(f"waiting {number}")
        assert not subscription.flush(0.01)
        handler.release.set()
        assert subscription.flush(LIMIT)
    assert handler.names == ["running", "waiting 0", "waiting 1", "waiting 2"]
    assert subscription.dropped == 7
    assert COUNTERS.value("events.dropped") - dropped == 7


def test_cancelling_drops_what_waits() -> None:
    """After `cancel` the handler gets nothing more, not even events that waited."""
    handler = Blocking()
    subscription = subscribe("*", handler)
    emit("running")
    assert handler.entered.wait(LIMIT)
    emit("waiting")
    subscription.cancel()
    subscription.cancel()
    handler.release.set()
    wait_until(lambda: handler.names, "the running call")
    emit("later")
    assert subscription.flush(LIMIT)
    assert handler.names == ["running"]
    assert (subscription.active, subscription.detached) == (False, "cancelled")


def test_a_handler_may_cancel_its_own_subscription() -> None:
    """It gets no event after that."""
    names: list[str] = []

    def once(event: Event) -> None:
        names.append(event.name)
        subscription.cancel()

    subscription = subscribe("*", once)
    emit("a")
    emit("b")
    wait_until(lambda: names, "the first event")
    emit("c")
    assert names == ["a"]


@BOTH
def test_a_handler_that_starts_spans_makes_no_events(
    inline: bool,
    records: RecordCapture,
) -> None:
    """Its spans are recorded and are not events, for no subscription."""
    everything = Heard()

    def trace(event: Event) -> None:
        assert in_handler()
        with with_span(f"about {event.metadata['name']}"):
            pass

    with (
        subscribe("span.*", trace, inline=inline) as tracing,
        subscribe("*", everything, inline=True),
    ):
        with with_span("work"):
            pass
        assert tracing.flush(LIMIT)
        assert tracing.active
    assert everything.spans == ["span.start work", "span.stop work"]
    assert [record.name for record in records.spans].count("about work") == 4
    assert not in_handler()


@BOTH
def test_a_handler_that_emits_reaches_the_others_only(
    inline: bool,
) -> None:
    """The events that a handler emits go to other subscriptions, never to its own."""
    names: list[str] = []
    others = Heard()

    def again(event: Event) -> None:
        names.append(event.name)
        emit("echo")

    with (
        subscribe("*", again, inline=inline) as subscription,
        subscribe("echo", others, inline=True),
    ):
        emit("sound")
        assert subscription.flush(LIMIT)
        emit("sound")
        assert subscription.flush(LIMIT)
    assert names == ["sound", "sound"]
    assert others.names == ["echo", "echo"]


def test_handlers_run_off_the_hot_path_by_default() -> None:
    """By default a handler runs on its own thread, inline on the one that emits."""
    threads: list[int] = []
    note: Callable[[Event], None] = lambda _event: threads.append(threading.get_ident())  # noqa: E731
    with subscribe("*", note) as subscription:
        emit("a")
        assert subscription.flush(LIMIT)
    with subscribe("*", note, inline=True):
        emit("a")
    own, inline = threads
    assert own != threading.get_ident() == inline


def test_one_handler_that_fails_harms_no_other() -> None:
    """Another subscription gets every event."""
    heard = Heard()

    def fail(_event: Event) -> NoReturn:
        raise RuntimeError

    with subscribe("*", fail, inline=True), subscribe("*", heard, inline=True):
        for _ in range(5):
            emit("a")
    assert heard.names == ["a"] * 5


EXITS = """\
import threading
import otel_ext
from otel_ext.events import emit

begun = threading.Event()

def hang(event):
    begun.set()
    threading.Event().wait()

otel_ext.subscribe("*", hang)
emit("a")
assert begun.wait(30)
print("done")
"""


def test_a_handler_that_hangs_does_not_hold_up_the_exit(tmp_path: Path) -> None:
    """A program with a hanging handler ends as ever."""
    done = succeed(python(write_program(tmp_path, EXITS)), tmp_path)
    assert (done.out, done.err) == ("done\n", "")
