"""A supervisor whose own thread must live on: hostile subscribers, errors, and races of signals."""

from __future__ import annotations

import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING

import pytest

import otel_ext
from otel_ext.errors import ConfigError
from otel_ext.events import subscribe
from otel_ext.services import ChildContext, StopSignal, Supervisor
from otel_ext.services.supervision import SupervisorFailedError
from tests.programs import wait_until
from tests.services.children import SOON, Log, fails, waits

if TYPE_CHECKING:
    from collections.abc import Callable


def leave(called: threading.Event, _: threading.Event) -> None:
    """End the thread that calls."""
    called.set()
    sys.exit()


def hang(called: threading.Event, release: threading.Event) -> None:
    """Hold up the thread that calls."""
    called.set()
    release.wait()


@pytest.mark.parametrize("hostile", [leave, hang])
def test_a_hostile_subscriber_does_not_touch_supervision(
    hostile: Callable[[threading.Event, threading.Event], None],
) -> None:
    """It runs elsewhere; the child starts again, and the stop works meanwhile."""
    called, release, went_on = threading.Event(), threading.Event(), threading.Event()

    def child(context: ChildContext) -> None:
        if context.life < 4:
            raise ValueError
        went_on.set()
        context.stopping.wait()

    supervisor = Supervisor("heard", max_restarts=9, initial_interval=0.001)
    supervisor.add("child", child)
    with subscribe("child.*", lambda _: hostile(called, release), inline=True):
        try:
            supervisor.start(0.0)
            assert went_on.wait(SOON)
            assert called.wait(SOON)
            assert supervisor.stop()
        finally:
            release.set()


@pytest.mark.parametrize("error", [RuntimeError("own"), SystemExit(3)], ids=repr)
def test_an_error_of_its_own_fails_it_visibly(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """State, health, a line on stderr; the children are asked to stop, and it can start again."""
    log = Log()
    supervisor = Supervisor("broken")
    for name in "ab":
        supervisor.add(name, log, args=[name], ready=SOON)
    assert supervisor.start()
    engine = supervisor._node.run.engine  # noqa: SLF001

    def fail(_: float) -> float:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(engine, "advance", fail)
        supervisor._node.run.post(lambda _: None)  # noqa: SLF001
        assert supervisor.wait(SOON)
    assert supervisor.state == "failed"
    assert supervisor.error.startswith(f"it cannot go on: {type(error).__name__}")
    part = otel_ext.health().part("supervisor broken")
    assert part is not None
    assert (part.state, part.detail) == ("failed", supervisor.error)
    assert [child.state for child in supervisor.children()] == ["failed", "failed"]
    assert supervisor.error in capfd.readouterr().err
    wait_until(supervisor.stop, "its children have ended")
    assert sorted(log.words) == ["+a", "+b", "-a", "-b"]
    with supervisor:
        assert (supervisor.state, supervisor.error) == ("running", "")


def test_an_end_sets_the_signals_of_its_own_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread starts it again just when it is free: both the stop and the start return."""
    supervisor = Supervisor("raced")
    supervisor.add("c", waits)
    supervisor.start()
    run, plain = supervisor._node.run, StopSignal.set  # noqa: SLF001
    free, started = threading.Event(), threading.Event()

    def slow(signal: StopSignal) -> None:
        if not run.is_claimed and not free.is_set():
            free.set()
            started.wait(SOON)
        plain(signal)

    monkeypatch.setattr(StopSignal, "set", slow)
    answers: list[bool] = []
    stopper = threading.Thread(target=lambda: answers.append(supervisor.stop()))
    stopper.start()
    assert free.wait(SOON)
    assert supervisor.start()
    started.set()
    stopper.join()
    assert answers == [True]
    assert supervisor.children()[0].life == 2
    assert supervisor.stop()
    assert supervisor.state == "stopped"


def test_it_is_stopping_until_it_may_start_again() -> None:
    """Not `starting`, although its engine is over and it is not free yet."""
    supervisor = Supervisor("ending")
    supervisor.add("c", waits)
    supervisor.start()
    run = supervisor._node.run  # noqa: SLF001
    seen: list[str] = []
    end = run.on_end

    def look() -> object:
        seen.append(supervisor.state)
        return end()

    run.on_end = look
    assert supervisor.stop()
    assert (seen, supervisor.state) == (["stopping"], "stopped")


def test_a_late_stop_is_not_for_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked of the run before, which has ended meanwhile."""
    supervisor = Supervisor("late")
    supervisor.add("c", waits)
    supervisor.start()
    run = supervisor._node.run  # noqa: SLF001
    late: list[Callable[[float], object]] = []
    with monkeypatch.context() as patch:
        patch.setattr(run, "post", late.append)
        supervisor._node.ask_to_stop(None)  # noqa: SLF001
    assert supervisor.stop()
    with supervisor:
        run.post(late[0])
        taken = threading.Event()
        run.post(lambda _: taken.set())
        assert taken.wait(SOON)
        assert supervisor.state == "running"


@pytest.mark.slow
def test_starts_and_stops_of_two_threads_do_not_wait_for_each_other() -> None:
    """Each stop returns True, and as soon as the child has ended."""
    supervisor = Supervisor("storm", stop_timeout=SOON)
    supervisor.add("c", waits)
    is_done = threading.Event()

    def start() -> None:
        while not is_done.is_set():
            try:
                supervisor.start(SOON)
            except ConfigError:
                continue

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    starter = threading.Thread(target=start)
    starter.start()
    try:
        until = monotonic() + 3.0
        while monotonic() < until:
            assert supervisor.stop()
    finally:
        sys.setswitchinterval(before)
        is_done.set()
        starter.join()
    assert supervisor.stop()


def test_with_raises_if_it_has_failed() -> None:
    """The block would run without the children."""
    supervisor = Supervisor("bad", max_restarts=1, initial_interval=0.001)
    supervisor.add("c", fails, ready=SOON)
    with (
        pytest.raises(SupervisorFailedError, match="'bad' has not started: child c needs another"),
        supervisor,
    ):
        pytest.fail("the block runs")
    assert supervisor.state == "failed"
    assert otel_ext.health().part("supervisor bad") is None


def test_a_stop_that_comes_before_the_start_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread asks just when it is claimed: then no child starts."""
    supervisor = Supervisor("early")
    supervisor.add("c", waits)
    run = supervisor._node.run  # noqa: SLF001
    post = run.post

    def first_stop(message: Callable[[float], object]) -> None:
        monkeypatch.setattr(run, "post", post)
        supervisor._node.ask_to_stop(None)  # noqa: SLF001
        post(message)

    monkeypatch.setattr(run, "post", first_stop)
    assert not supervisor.start()
    assert supervisor.wait(SOON)
    assert (supervisor.state, supervisor.error) == ("stopped", "")
    assert supervisor.children()[0].life == 0
