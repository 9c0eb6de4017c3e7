"""Parts that died are started again with back-off, and their dependants after them."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

from otel_ext.runtime.health import health
from otel_ext.runtime.supervisor import Supervisor, shared_supervisor


@pytest.fixture
def starts() -> list[str]:
    """Return the list that parts write their starts to."""
    return []


def restart(supervisor: Supervisor, starts: list[str], count: int) -> bool:
    """Call `ensure` until there were `count` starts; return whether there were in time."""
    end = time.monotonic() + 10
    while len(starts) < count and time.monotonic() < end:
        supervisor.ensure()
        time.sleep(0.002)
    return len(starts) == count


def state_of(name: str) -> str:
    """Return the state of a part in the health."""
    part = health().part(name)
    return "" if part is None else part.state


def test_a_part_is_started_once_and_again_when_it_died(starts: list[str]) -> None:
    """`ensure` does nothing while no part is down, and starts a part when it is due."""
    supervisor = Supervisor()
    supervisor.add("part-a", lambda: starts.append("a"))
    supervisor.start("part-a")
    supervisor.ensure()
    assert starts == ["a"]
    assert state_of("part-a") == "healthy"
    supervisor.died("part-a", OSError("gone"))
    assert supervisor.is_down("part-a")
    assert state_of("part-a") == "failed"
    supervisor.ensure()
    assert starts == ["a"], "not before its time"
    assert restart(supervisor, starts, 2)
    assert state_of("part-a") == "healthy"
    assert not supervisor.is_down("part-a")


def test_a_part_that_dies_again_and_again_waits_longer(starts: list[str]) -> None:
    """The pause before the next start doubles."""
    supervisor = Supervisor()
    supervisor.add("part-b", lambda: starts.append("b"))
    supervisor.start("part-b")
    pauses: list[float] = []
    for count in (2, 3, 4):
        begin = time.monotonic()
        supervisor.died("part-b", "gone")
        assert restart(supervisor, starts, count)
        pauses.append(time.monotonic() - begin)
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.2
    assert pauses[2] >= 0.4


def test_dependants_are_started_again_behind_what_they_need(starts: list[str]) -> None:
    """The restart of a part restarts its dependants, and theirs, in order, but no others."""
    supervisor = Supervisor()
    supervisor.add("top", lambda: starts.append("top"), after=("middle",))
    supervisor.add("middle", lambda: starts.append("middle"), after=("base",))
    supervisor.add("base", lambda: starts.append("base"))
    supervisor.add("apart", lambda: starts.append("apart"))
    for name in ("base", "middle", "top", "apart"):
        supervisor.start(name)
    assert starts == ["base", "middle", "top", "apart"]
    starts.clear()
    supervisor.died("base", "gone")
    assert restart(supervisor, starts, 3)
    assert starts == ["base", "middle", "top"]


def test_a_dependant_waits_for_what_it_needs(starts: list[str]) -> None:
    """A part is not started while one that it depends on is down."""
    supervisor = Supervisor()
    supervisor.add("needed", lambda: starts.append("needed"))
    supervisor.add("needing", lambda: starts.append("needing"), after=("needed",))
    supervisor.start("needed")
    supervisor.died("needed", "gone")
    supervisor.start("needing")
    assert starts == ["needed"]
    assert restart(supervisor, starts, 3)
    assert starts == ["needed", "needed", "needing"]


def test_a_part_that_cannot_start_is_tried_again(starts: list[str]) -> None:
    """An error of the start does not reach the caller and is shown in the health."""
    supervisor = Supervisor()

    def start() -> None:
        starts.append("try")
        if len(starts) < 3:
            raise RuntimeError("can't start new thread")

    supervisor.add("part-c", start)
    supervisor.start("part-c")
    part = health().part("part-c")
    assert part is not None
    assert part.state == "failed"
    assert "RuntimeError: can't start new thread" in part.detail
    assert restart(supervisor, starts, 3)
    assert state_of("part-c") == "healthy"


def test_a_hook_within_a_hook_does_not_wait(starts: list[str]) -> None:
    """A start that calls `ensure`, as a signal handler may, does not hang."""
    supervisor = Supervisor()

    def start() -> None:
        starts.append("outer")
        supervisor.ensure()

    supervisor.add("part-d", start)
    supervisor.start("part-d")
    assert starts == ["outer"]


def test_a_part_that_was_removed_stays_down(starts: list[str]) -> None:
    """A part that was stopped on purpose is not started again, and its death is not reported."""
    supervisor = Supervisor()
    supervisor.add("part-e", lambda: starts.append("e"))
    supervisor.start("part-e")
    supervisor.remove("part-e")
    supervisor.died("part-e", "gone")
    assert not supervisor.is_down("part-e")
    assert state_of("part-e") == ""


def test_a_supervisor_that_is_dropped_is_gone() -> None:
    """Neither the at-fork hooks nor the health keep it alive."""
    supervisor = Supervisor()
    supervisor.add("part-f", lambda: None)
    reference = weakref.ref(supervisor)
    del supervisor
    gc.collect()
    assert reference() is None
    assert state_of("part-f") == ""


def test_there_is_one_shared_supervisor() -> None:
    """One supervisor supervises all parts of a process."""
    assert shared_supervisor() is shared_supervisor()
