"""A supervisor with real threads: lives, spans, events, health, and wrong use."""

from __future__ import annotations

import random
import threading
from collections import Counter
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

import otel_ext
from otel_ext.errors import ConfigError
from otel_ext.events import subscribe
from otel_ext.services import ChildContext, Supervisor
from tests.context.tracing import tracing
from tests.programs import in_child, wait_until
from tests.services.children import SOON, Log, fails, returns, state_of, waits

if TYPE_CHECKING:
    from otel_ext.events import Event


def becomes(supervisor: Supervisor, name: str, state: str) -> None:
    """Wait until a child has this state."""
    wait_until(lambda: state_of(supervisor, name) == state, f"{name} is {state}")


def test_children_start_and_stop_in_order() -> None:
    """First added, first started, last stopped; and it may be started again."""
    log = Log()
    supervisor = Supervisor("ordered")
    for name in "abc":
        supervisor.add(name, log, args=[name], ready=SOON)
    for _ in range(2):
        assert supervisor.start()
        assert [child.state for child in supervisor.children()] == ["ready"] * 3
        assert supervisor.stop()
        assert log.words == ["+a", "+b", "+c", "-c", "-b", "-a"]
        log.words.clear()
    assert [child.life for child in supervisor.children()] == [2, 2, 2]
    assert supervisor.wait(0.0)
    assert supervisor.stop(), "it has stopped already"


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("deep"), ValueError("x")],
    ids=repr,
)
def test_whatever_a_child_raises_ends_only_its_life(error: BaseException) -> None:
    """It is started again, and the error is shown."""
    went_on = threading.Event()

    def child(context: ChildContext) -> None:
        if context.life == 1:
            raise error
        went_on.set()
        context.stopping.wait()

    supervisor = Supervisor("hostile", initial_interval=0.001)
    supervisor.add("child", child)
    supervisor.add("other", waits)
    with supervisor:
        assert went_on.wait(SOON)
        status = supervisor.children()[0]
        assert (status.life, status.restarts) == (2, 1)
        assert status.error.startswith(type(error).__name__)
        assert supervisor.children()[1].life == 1


def test_an_orderly_exit_is_no_error() -> None:
    """`sys.exit()` of a transient child ends it for good."""

    def leaves(_: ChildContext) -> None:
        raise SystemExit

    supervisor = Supervisor("leaving")
    supervisor.add("child", leaves, restart="transient")
    with supervisor:
        becomes(supervisor, "child", "stopped")


def test_too_many_restarts_fail_upward(capfd: pytest.CaptureFixture[str]) -> None:
    """A supervisor below another is started again by that; the outermost one is failed."""
    inner = Supervisor("inner", max_restarts=1, initial_interval=0.001)
    inner.add("bad", fails)
    outer = Supervisor("outer", max_restarts=2, initial_interval=0.001)
    log = Log()
    outer.add("good", log, args=["good"])
    outer.add("pool", inner)
    outer.start()
    assert outer.wait(SOON)
    assert outer.state == "failed"
    assert outer.error.startswith("child pool needs another restart after 2 in 5 s: Supervisor")
    assert inner.state == "failed"
    # Two starts of each life of the inner one, which had three lives.
    assert inner.children()[0].life == 6
    assert log.words == ["+good", "-good"]
    part = otel_ext.health().part("supervisor outer")
    assert part is not None
    assert (part.state, part.detail) == ("failed", outer.error)
    assert "supervisor outer: it has stopped its children" in capfd.readouterr().err
    assert outer.stop()
    assert otel_ext.health().part("supervisor outer") is None
    with pytest.raises(ConfigError, match="'inner' is a child of 'outer', which starts it"):
        inner.start()


class Interrupted(Supervisor):
    """A supervisor during whose start Ctrl-C is pressed, when its children begin to run."""

    def start(self, timeout: float = 0.0) -> bool:
        """Raise instead of waiting for the children."""
        super().start(timeout)
        raise KeyboardInterrupt


def test_a_start_that_is_interrupted_leaves_no_child_behind() -> None:
    """The block has not begun, so it cannot end."""

    def never_ready(context: ChildContext) -> None:
        context.stopping.wait()

    supervisor = Interrupted("interrupted")
    supervisor.add("child", never_ready, ready=SOON)
    with pytest.raises(KeyboardInterrupt), supervisor:
        pytest.fail("it is never ready")
    assert supervisor.wait(SOON)
    assert supervisor.state == "stopped"


def test_children_are_added_while_it_runs() -> None:
    """They start at once; a temporary one is no child any more when it has ended."""
    supervisor = Supervisor("growing")
    with supervisor:
        assert supervisor.state == "running"
        supervisor.add("late", waits)
        becomes(supervisor, "late", "running")
        for _ in range(3):
            supervisor.add("once", returns, restart="temporary")
            wait_until(lambda: len(supervisor.children()) == 1, "it has ended")


def test_a_supervisor_is_added_while_the_other_runs() -> None:
    """It starts, and when it has ended as a temporary child it may be added again."""
    outer = Supervisor("outer")
    with outer:
        inner = Supervisor("inner", max_restarts=1, initial_interval=0.001)
        inner.add("bad", fails)
        for _ in range(2):
            outer.add("pool", inner, restart="temporary")
            wait_until(lambda: not outer.children(), "it has failed")


def test_each_life_is_a_span_linked_to_the_one_before() -> None:
    """With supervisor, child and number; the error of a life is in its span."""
    went_on = threading.Event()

    def child(context: ChildContext) -> None:
        if context.life < 3:
            raise ValueError(f"life {context.life}")
        went_on.set()
        context.stopping.wait()

    supervisor = Supervisor("traced", initial_interval=0.001)
    supervisor.add("child", child)
    with tracing(ALWAYS_ON) as traced, supervisor:
        assert went_on.wait(SOON)
    lives = [span for span in traced.spans if span.name == "child"]
    assert [dict(span.attributes or {})["life"] for span in lives] == [1, 2, 3]
    assert all(dict(span.attributes or {})["supervisor"] == "traced" for span in lives)
    assert [span.status.description for span in lives] == [
        "ValueError: life 1",
        "ValueError: life 2",
        None,
    ]
    links = [[link.context for link in span.links] for span in lives]
    assert links == [[], *([span.context] for span in lives[:2])]
    assert all(span.parent is None for span in lives)


def test_restarts_are_events() -> None:
    """Subscribers hear of them with the error."""
    heard: SimpleQueue[Event] = SimpleQueue()
    supervisor = Supervisor("heard", max_restarts=1, initial_interval=0.001)
    supervisor.add("bad", fails)
    with (
        subscribe("child.restarted", heard.put, inline=True),
        subscribe("supervisor.failed", heard.put, inline=True),
    ):
        supervisor.start()
        restarted, failed = heard.get(timeout=SOON), heard.get(timeout=SOON)
    assert restarted.metadata["child"] == "heard/bad"
    assert restarted.metadata["error"] == "ValueError: no"
    assert failed.metadata["supervisor"] == "heard"
    assert supervisor.stop()


def test_names_of_running_supervisors_are_made_unique() -> None:
    """Two of one name get ids of their own, so that readers keep them apart."""
    seen: SimpleQueue[str] = SimpleQueue()

    def child(context: ChildContext) -> None:
        seen.put(context.child)
        context.stopping.wait()

    one, other = Supervisor("twin"), Supervisor("twin")
    one.add("c", child)
    other.add("c", child)
    with one, other:
        assert {seen.get(timeout=SOON), seen.get(timeout=SOON)} == {"twin/c", "twin#2/c"}
    with other:
        assert seen.get(timeout=SOON) == "twin/c", "the name is free again"


def test_a_supervisor_that_nobody_holds_goes_on() -> None:
    """Its children would else run without it."""
    lives: SimpleQueue[int] = SimpleQueue()
    box: list[ChildContext] = []

    def child(context: ChildContext) -> None:
        lives.put(context.life)
        box.append(context)
        if context.life == 1:
            raise ValueError
        context.stopping.wait()

    made = Supervisor("unheld", initial_interval=0.001)
    made.add("c", child)
    made.start()
    stop = made.stop
    del made
    assert [lives.get(timeout=SOON), lives.get(timeout=SOON)] == [1, 2]
    assert stop()


@pytest.mark.forks
def test_no_child_runs_in_a_forked_process() -> None:
    """It says so, and can be started there, with supervisors below."""
    inner = Supervisor("inner")
    inner.add("deep", waits)
    supervisor = Supervisor("forked")
    supervisor.add("a", waits)
    supervisor.add("pool", inner)

    def look() -> str:
        states = [supervisor.state, *(child.state for child in supervisor.children())]
        error = supervisor.error
        stopped = supervisor.stop()
        started = supervisor.start()
        # What is freed within the fork could run code of the program.
        is_kept = supervisor._node._inherited[0][0] is run  # type: ignore[index]  # noqa: SLF001
        again = supervisor.error, supervisor.stop(), is_kept
        return repr((states, error, stopped, started, *again))

    run = supervisor._node.run  # noqa: SLF001
    with supervisor:
        seen = in_child(look)
        assert supervisor.state == "running"
    error = "this process was forked: the children run in its parent"
    assert seen == repr((["stopped"] * 3, error, True, True, "", True, True))


def test_trees_under_random_failures_lose_no_child() -> None:
    """Real threads, three supervisors, children that fail at random and then behave."""
    rng = random.Random(14)
    for strategy in ("one_for_one", "one_for_all", "rest_for_one"):
        lives: Counter[str] = Counter()
        inner = [
            Supervisor(f"i{n}", strategy=strategy, max_restarts=200, initial_interval=0.0001)
            for n in range(2)
        ]
        outer = Supervisor("o", strategy=strategy, max_restarts=200, initial_interval=0.0001)
        until = {f"{n}{name}": rng.randrange(1, 6) for n in range(2) for name in "abc"}

        def child(context: ChildContext, key: str) -> None:
            lives[key] += 1  # noqa: B023 - of this round
            context.ready()
            if lives[key] < until[key]:  # noqa: B023
                raise ValueError(key)
            context.stopping.wait()

        for number, one in enumerate(inner):
            for name in "abc":
                one.add(name, child, args=[f"{number}{name}"], ready=SOON)
            outer.add(f"i{number}", one)
        with outer:
            wait_until(
                lambda: all(
                    one.state == "running" and {c.state for c in one.children()} == {"ready"}
                    for one in inner  # noqa: B023
                ),
                "all run",
            )
            assert all(lives[key] >= least for key, least in until.items())
        assert outer.state == "stopped"
        assert {c.state for one in inner for c in one.children()} == {"stopped"}


def test_health_tells_of_a_child_that_pauses() -> None:
    """Until it runs again the supervisor is degraded."""
    supervisor = Supervisor("paused", initial_interval=600.0, max_interval=600.0)
    supervisor.add("bad", fails)
    supervisor.start(0.0)
    becomes(supervisor, "bad", "backoff")
    wait_until(
        lambda: (part := otel_ext.health().part("supervisor paused")) and part.state == "degraded",
        "it is degraded",
    )
    assert supervisor.stop()


def test_a_thread_that_the_system_refuses_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """`start` returns False; the children are kept for the next one."""
    supervisor = Supervisor("refused")
    supervisor.add("a", waits)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not supervisor.start()
    assert (supervisor.state, supervisor.error) == (
        "stopped",
        "it cannot start: can't start new thread",
    )
    with supervisor:
        assert (supervisor.error, supervisor.children()[0].state) == ("", "running")


def test_a_random_number_that_cannot_be_had_loses_no_child() -> None:
    """The pause is then the longest; what it returns is kept between 0 and 1."""
    answers = iter((-7.0, float("nan")))
    runs = threading.Event()

    def child(context: ChildContext) -> None:
        if context.life < 4:
            raise ValueError
        runs.set()
        context.stopping.wait()

    supervisor = Supervisor("random", initial_interval=0.001, randomization=lambda: next(answers))
    supervisor.add("c", child)
    with supervisor:
        assert runs.wait(SOON)
