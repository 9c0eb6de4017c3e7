"""The stop of a supervisor: children that hang, timeouts, and calls from odd places."""

from __future__ import annotations

import os
import signal
import threading
from math import inf
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.events import subscribe
from otel_ext.services import Supervisor
from otel_ext.services.supervision.node import Node
from tests.programs import wait_until
from tests.services.children import SOON, Log, holds, state_of, waits

if TYPE_CHECKING:
    from otel_ext.events import Event
    from otel_ext.services import ChildContext


def test_a_child_that_hangs_is_left_behind(capfd: pytest.CaptureFixture[str]) -> None:
    """The stop goes on with the others, says so, and the thread may end later."""
    release, log = threading.Event(), Log()
    supervisor = Supervisor("hanging")
    supervisor.add("good", log, args=["good"])
    supervisor.add("hangs", holds, args=[release], stop_timeout=0.05)
    supervisor.start()
    assert not supervisor.stop()
    assert log.words == ["+good", "-good"]
    assert state_of(supervisor, "hangs") == "failed"
    assert "child hangs: life 1 did not end in time and is left behind" in capfd.readouterr().err
    release.set()
    supervisor.start()
    wait_until(supervisor.stop, "no life hangs any more")


def test_the_timeout_of_a_stop_bounds_all() -> None:
    """Also in a supervisor below, whose own deadlines are longer."""
    release = threading.Event()
    inner = Supervisor("inner", stop_timeout=600.0)
    inner.add("a", holds, args=[release])
    inner.add("b", holds, args=[release])
    outer = Supervisor("outer")
    outer.add("pool", inner)
    assert outer.start()
    assert not outer.stop(0.2)
    assert outer.state == "stopped"
    release.set()


def test_a_child_may_stop_its_supervisor() -> None:
    """The call returns at once; then the children stop, also that one."""
    answers: SimpleQueue[bool] = SimpleQueue()
    log = Log()
    supervisor = Supervisor("stopped-inside")

    def child(context: ChildContext) -> None:
        answers.put(supervisor.stop())
        context.stopping.wait()

    supervisor.add("good", log, args=["good"])
    supervisor.add("child", child)
    supervisor.start()
    assert answers.get(timeout=SOON) is False
    assert supervisor.wait(SOON)
    assert log.words == ["+good", "-good"]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal")
def test_it_may_be_stopped_in_a_signal_handler() -> None:
    """Also while the main thread waits for it."""
    supervisor = Supervisor("signalled")
    supervisor.add("c", waits)

    def stop(_: int, __: object) -> None:
        supervisor.stop()

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        supervisor.start()
        killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        killer.start()
        assert supervisor.wait(SOON)
        killer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert supervisor.state == "stopped"


def test_a_subscriber_may_stop_it() -> None:
    """The handler of an event runs on a thread of the bus, which can wait for the children."""
    answers: SimpleQueue[bool] = SimpleQueue()
    inner = Supervisor("inner")
    inner.add("c", waits)
    outer = Supervisor("outer")
    outer.add("pool", inner)

    def stop(event: Event) -> None:
        if event.metadata["child"] == "outer/pool/c":
            answers.put(outer.stop())

    with subscribe("child.running", stop, inline=True):
        outer.start()
        assert answers.get(timeout=SOON) is True
    assert outer.state == "stopped"


def test_a_stop_before_the_start_of_a_supervisor_below_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked while its thread has not begun: then it starts no child."""
    began, asked = threading.Event(), threading.Event()
    inner = Supervisor("inner")
    inner.add("c", waits)
    outer = Supervisor("outer")
    outer.add("pool", inner)
    run_below, stop_below = Node.run_below, Node.stop_below

    def late(node: Node, *args: Any) -> None:  # noqa: ANN401 - passed on
        began.set()
        asked.wait(SOON)
        run_below(node, *args)

    def ask(node: Node, until: float) -> None:
        stop_below(node, until)
        asked.set()

    monkeypatch.setattr(Node, "run_below", late)
    monkeypatch.setattr(Node, "stop_below", ask)
    outer.start(0.0)
    assert began.wait(SOON)
    assert outer.stop()
    assert (outer.state, inner.state) == ("stopped", "stopped")
    assert inner.children()[0].life == 0


def test_a_deadline_without_end_is_no_limit() -> None:
    """An infinite deadline is longer than the system can wait."""
    supervisor = Supervisor("patient", stop_timeout=inf)
    supervisor.add("c", waits)
    assert supervisor.start(inf)
    assert supervisor.stop()
    assert supervisor.start()
    assert supervisor.stop(inf)
