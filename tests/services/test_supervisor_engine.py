"""What a supervisor decides: order, sets, pauses, limits and deadlines, by a fake clock."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.services.supervision.engine import MAX_HANGING, STRATEGIES
from tests.services.engines import FakeLife, Kit

if TYPE_CHECKING:
    from otel_ext.services.supervision.engine import Strategy


def test_children_start_in_order_each_when_the_one_before_is_ready() -> None:
    """Only a child that declares readiness is waited for."""
    kit = Kit()
    for name, ready in (("a", 10.0), ("b", None), ("c", 10.0), ("d", None)):
        kit.add(name, ready=ready)
    kit.start()
    assert kit.living == {"a": 1}
    kit.ready("a")
    assert kit.living == {"a": 1, "b": 1, "c": 1}
    assert kit.states == ["starting"]
    kit.ready("c")
    assert list(kit.living) == ["a", "b", "c", "d"]
    assert kit.states == ["starting", "running"]


@pytest.mark.parametrize(
    ("strategy", "stopped", "kept"),
    [
        ("one_for_one", [], {"a": 1, "c": 1, "d": 1}),
        ("rest_for_one", ["d", "c"], {"a": 1}),
        ("one_for_all", ["d", "c", "a"], {}),
    ],
)
def test_each_strategy_takes_exactly_its_children_along(
    strategy: Strategy, stopped: list[str], kept: dict[str, int]
) -> None:
    """They stop last first, the pause passes, and they start in order."""
    kit = Kit(strategy)
    for name in "abcd":
        kit.add(name)
    kit.start()
    kit.end("b", "ValueError")
    assert kit.end_asked() == stopped
    assert kit.living == kept
    assert kit.settle() == 1.0, "the pause of the child that failed"
    kit.log.clear()
    kit.pass_time(1.0)
    again = [name for name in "abcd" if name not in kept]
    assert [word for word in kit.log if word[1:] == "2"] == [f"{name}2" for name in again]
    assert kit.living == {"a": 1, "b": 1, "c": 1, "d": 1} | dict.fromkeys(again, 2)


def test_a_pause_of_one_child_does_not_hold_up_another() -> None:
    """In one_for_one, each child has its own pause, and one that hangs delays only itself."""
    kit = Kit(max_restarts=10)
    for name in "ab":
        kit.add(name)
    late = kit.add("late", ready=1.0, stop_timeout=50.0)
    kit.start()
    kit.end("a", "x")
    kit.pass_time(1.0)
    assert (late.state, kit.living["a"]) == ("stopping", 2)
    kit.end("a", "x")  # its second pause: 2 s
    kit.end("b", "x")
    kit.pass_time(1.0)
    assert "a" not in kit.living
    assert kit.living["b"] == 2
    kit.pass_time(1.0)
    assert kit.living["a"] == 3


@pytest.mark.parametrize(
    ("restart", "error", "starts"),
    [
        ("permanent", "", True),
        ("permanent", "x", True),
        ("transient", "", False),
        ("transient", "x", True),
        ("temporary", "", False),
        ("temporary", "x", False),
    ],
)
def test_the_kind_of_restart_decides(restart: str, error: str, starts: bool) -> None:
    """A temporary child is no child any more when it has ended."""
    kit = Kit()
    kit.add("a", restart)  # type: ignore[arg-type]
    kit.start()
    kit.end("a", error)
    kit.pass_time(10.0)
    assert kit.living == ({"a": 2} if starts else {})
    assert len(kit.engine.children) == (restart != "temporary")
    assert kit.state == "running"
    if restart == "transient" and not starts:
        assert kit.child("a").state == "stopped"


def test_temporary_children_do_not_come_back_with_the_others() -> None:
    """Taken along, they stop and are removed; a transient one that has ended starts again."""
    kit = Kit("one_for_all")
    kit.add("a")
    kit.add("once", "temporary")
    kit.add("done", "transient")
    kit.start()
    kit.end("done")
    kit.end("a", "x")
    assert kit.end_asked() == ["once"]
    assert "once removed" in kit.log
    kit.pass_time(1.0)
    assert kit.living == {"a": 2, "done": 2}


def test_more_restarts_than_allowed_stop_the_children_and_fail() -> None:
    """The children that still run stop last first; then the supervisor has failed."""
    kit = Kit(max_restarts=2, within=100.0)
    for name in "abc":
        kit.add(name)
    kit.start()
    for _ in range(2):
        kit.end("b", "ValueError: no")
        kit.pass_time(8.0)
    kit.end("b", "ValueError: no")
    assert kit.end_asked() == ["c", "a"]
    assert kit.states[-2:] == ["stopping", "failed"]
    assert kit.engine.failure == ("child b needs another restart after 2 in 100 s: ValueError: no")
    assert [one.state for one in kit.engine.children] == ["stopped", "failed", "stopped"]
    kit.start()
    assert kit.living == {"a": 2, "b": 4, "c": 2}, "it can be started again"
    assert kit.engine.failure == ""


def test_a_child_that_is_not_ready_in_time_starts_again() -> None:
    """It is asked to stop first; the child after it goes on waiting."""
    kit = Kit()
    kit.add("a", ready=3.0)
    kit.add("b")
    kit.start()
    kit.pass_time(3.0)
    assert (kit.asked, kit.child("a").error) == (["a"], "it was not ready within 3 s")
    kit.end("a")
    assert kit.child("a").state == "backoff"
    kit.pass_time(1.0)
    assert kit.living == {"a": 2}
    kit.ready("a")
    assert kit.living == {"a": 2, "b": 1}


def test_a_temporary_child_that_is_not_ready_is_removed() -> None:
    """It stops, and the next one starts."""
    kit = Kit()
    kit.add("a", "temporary", ready=3.0)
    kit.add("b")
    kit.start()
    kit.pass_time(3.0)
    kit.end("a")
    assert [word for word in kit.log if word.startswith("a")][-2:] == ["a failed", "a removed"]
    assert kit.living == {"b": 1}


def test_a_stop_is_in_order_and_each_has_its_deadline() -> None:
    """One that hangs is left behind at its deadline, and then the one before it is asked."""
    kit = Kit()
    for name in "abc":
        kit.add(name)
    kit.start()
    kit.stop(inf)
    assert kit.asked == ["c"]
    kit.end("c")
    assert kit.asked == ["b"]
    kit.pass_time(2.0)
    assert (kit.hung, kit.asked) == (["b"], ["a"])
    assert kit.child("b").state == "failed"
    kit.end("a")
    assert kit.state == "stopped"
    hanging = kit.child("b").hanging
    assert len(hanging) == 1
    kit.engine.exited(hanging[0], "", kit.now)
    assert hanging == [], "it has ended after all"


def test_the_deadline_of_a_stop_ends_all_waits() -> None:
    """Each child is asked, the later ones without any time."""
    kit = Kit()
    for name in "abc":
        kit.add(name)
    kit.start()
    lives = [kit.life(name) for name in "abc"]
    kit.stop(0.5)
    kit.pass_time(1.0)
    assert kit.state == "stopped"
    assert kit.hung == ["c", "b", "a"]
    assert all(isinstance(one, FakeLife) and one.asked_until == 0.5 for one in lives)


def test_what_can_be_cancelled_is_cancelled_at_the_deadline() -> None:
    """It then has a second to end."""
    kit = Kit(can_force=True)
    kit.add("a")
    kit.start()
    life = kit.life("a")
    assert isinstance(life, FakeLife)
    kit.stop(inf)
    kit.pass_time(2.0)
    assert (life.is_forced, kit.hung) == (True, [])
    kit.pass_time(1.0)
    assert kit.hung == ["a"]


def test_a_stop_ends_pauses() -> None:
    """A child that waits for its restart does not start any more."""
    kit = Kit()
    kit.add("a")
    kit.start()
    kit.end("a", "x")
    kit.stop(inf)
    assert (kit.state, kit.child("a").state) == ("stopped", "stopped")
    kit.pass_time(5.0)
    assert kit.living == {}
    kit.stop(inf)
    assert kit.states.count("stopped") == 1


def test_a_child_that_cannot_start_counts_as_failed() -> None:
    """It is tried again, up to the limit."""
    kit = Kit(max_restarts=2)
    kit.refused.add("a")
    kit.add("a")
    kit.add("b")
    kit.start()
    assert kit.child("a").error == "it cannot start: no thread"
    kit.pass_time(4.0)
    assert kit.state == "failed"
    assert kit.living == {}


def test_lives_that_hang_do_not_grow_without_limit() -> None:
    """With too many of one child the supervisor fails, though the restarts are rare enough."""
    kit = Kit("one_for_all", max_restarts=1, within=1.0)
    kit.add("hangs")
    kit.add("fails")
    kit.start()
    for _ in range(MAX_HANGING + 1):
        kit.end("fails", "x")
        kit.pass_time(20.0)
    assert kit.state == "failed"
    assert kit.engine.failure == f"{MAX_HANGING + 1} lives of child hangs hang"


def test_children_added_while_it_runs_start_at_once() -> None:
    """Also beside one that is not ready yet; not while it stops."""
    kit = Kit()
    kit.add("a", ready=10.0)
    kit.start()
    kit.add("b")
    kit.settle()
    assert kit.living == {"a": 1, "b": 1}
    kit.stop(inf)
    kit.add("c")
    kit.settle()
    assert "c" not in kit.living


def test_messages_of_earlier_lives_change_nothing() -> None:
    """A life that was left behind may still say that it is ready, or ends."""
    kit = Kit()
    kit.add("a", ready=1.0, stop_timeout=1.0)
    kit.start()
    old = kit.life("a")
    kit.pass_time(2.5)
    assert kit.living == {"a": 2}
    kit.engine.began(old)
    kit.engine.ready(old)
    kit.engine.exited(old, "x", kit.now)
    assert kit.child("a").state == "starting"
    assert kit.living == {"a": 2}


@given(
    st.sampled_from(STRATEGIES),
    st.lists(
        st.tuples(
            st.sampled_from(["permanent", "permanent", "transient", "temporary"]),
            st.sampled_from([None, None, 2.0]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["fail", "return", "end asked", "ready", "time", "hang"]),
            st.integers(0, 5),
        ),
        max_size=60,
    ),
)
def test_no_child_is_lost_whatever_fails(
    strategy: Strategy,
    children: list[tuple[str, float | None]],
    steps: list[tuple[str, int]],
) -> None:
    """When failures end, every permanent child runs, unless the limit was exceeded.

    There is never more than one life of a child that was not left behind, nor more restarts
    than allowed in any window.
    """
    kit = Kit(strategy, max_restarts=3, within=10.0)
    for number, (restart, ready) in enumerate(children):
        kit.add(f"c{number}", restart, ready=ready)  # type: ignore[arg-type]
    kit.start()
    for action, number in steps:
        _step(kit, action, number)
        _check_order(kit, strategy)
    for _ in range(100):
        kit.end_asked()
        for name in list(kit.living):
            kit.ready(name)
        kit.pass_time(0.1)
    for first, time in enumerate(kit.intensity.times):
        assert sum(other - time < 10.0 for other in kit.intensity.times[first:]) <= 3
    permanent = {f"c{number}" for number, (kind, _) in enumerate(children) if kind == "permanent"}
    if kit.state == "failed":
        assert kit.living == {}
        assert kit.engine.failure
    else:
        assert kit.states[-1] == "running"
        assert permanent <= kit.living.keys()
        kit.stop(inf)
        names = list(kit.living)
        assert kit.end_asked() == names[::-1]
        assert kit.state == "stopped"


def _step(kit: Kit, action: str, number: int) -> None:
    names = list(kit.living)
    name = names[number % len(names)] if names else ""
    if action == "time":
        kit.pass_time(number * 0.4)
    elif action == "hang":
        kit.pass_time(2.1)
    elif action == "end asked" and kit.asked:
        kit.end(kit.asked[number % len(kit.asked)])
    elif action == "ready" and name:
        kit.ready(name)
    elif action in {"fail", "return"} and name:
        kit.end(name, "x" if action == "fail" else "")


def _check_order(kit: Kit, strategy: Strategy) -> None:
    """One that was asked is the last of its batch that must stop."""
    for child in kit.engine.children:
        assert (child.life is not None) or not (child.must_stop or child.is_up)
        if child.stop_by is not None:
            behind = kit.engine.children[kit.engine.children.index(child) + 1 :]
            assert not any(one.must_stop and one.batch == child.batch for one in behind)
            if strategy == "one_for_all":
                assert not any(one.life is not None for one in behind)
