"""The limit of restarts with real threads, and what each restart says about the life before."""

from __future__ import annotations

import random
import sys
from collections import Counter
from threading import Event as Flag
from typing import TYPE_CHECKING

import pytest

from otel_ext.events import subscribe
from otel_ext.events.deferred import deferred_events
from otel_ext.record.entities import entity_of
from otel_ext.services import ChildContext, Supervisor
from tests.services.children import SOON, waits

if TYPE_CHECKING:
    from otel_ext.events import Event
    from otel_ext.record.model import Record
    from otel_ext.services.supervision.engine import Strategy

LIMIT = 3


def fails_at_random(context: ChildContext, rng: random.Random) -> None:
    """End in one of the ways there are, at once or after a moment."""
    context.stopping.wait(rng.choice((0.0, 0.001, 0.005)))
    way = rng.randrange(4)
    if way == 0:
        raise ValueError(context.child)
    if way == 1:
        sys.exit(3)
    if way == 2:
        context.ready()


def run_until_failed(strategy: Strategy, seed: int) -> list[Event]:
    """Run a tree whose children all fail until it has failed; return its events in order."""
    heard: list[Event] = []
    rng = random.Random(seed)

    def made(name: str) -> Supervisor:
        return Supervisor(
            name, strategy=strategy, max_restarts=LIMIT, within=600.0, initial_interval=0.001
        )

    outer = made("tree")
    for number in range(2):
        inner = made(f"i{number}")
        for name in "abc":
            inner.add(name, fails_at_random, args=[rng])
        outer.add(f"i{number}", inner)
    with (
        subscribe("child.*", heard.append, inline=True),
        subscribe("supervisor.*", heard.append, inline=True),
    ):
        outer.start(0.0)
        assert outer.wait(SOON)
        assert deferred_events().flush(SOON)
    assert outer.state == "failed"
    outer.stop()
    return heard


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_no_restart_is_beyond_the_limit(strategy: Strategy, seed: int) -> None:
    """Counted by the events, for each run of each supervisor of the tree."""
    runs: Counter[str] = Counter()
    lives: dict[tuple[str, int], set[tuple[object, object]]] = {}
    pauses: Counter[tuple[str, int]] = Counter()
    failed: set[tuple[str, int]] = set()
    for event in run_until_failed(strategy, seed):
        name = str(event.metadata.get("supervisor") or event.metadata.get("parent"))
        if event.name == "supervisor.starting":
            runs[name] += 1
            lives[name, runs[name]] = set()
        elif event.name == "supervisor.failed":
            failed.add((name, runs[name]))
        elif event.name in {"child.starting", "child.restarted"}:
            lives[name, runs[name]].add((event.metadata["child"], event.metadata["life"]))
        elif event.name == "child.backoff":
            pauses[name, runs[name]] += 1
    # The first start of a child in a run is none; each other one is a restart.
    starts = {run: Counter(child for child, _ in found) for run, found in lives.items()}
    restarts = {run: sum(counts.values()) - len(counts) for run, counts in starts.items()}
    assert ("tree", 1) in failed
    assert len(failed) > LIMIT, "those below have failed, too"
    assert all(max(counts.values()) <= 1 + LIMIT for counts in starts.values())
    if strategy == "one_for_one":
        assert max(restarts.values()) <= LIMIT
        # Who has failed had all that are allowed, some of which still paused, and not one more.
        assert {pauses[run] for run in failed} == {LIMIT}
        assert runs["tree/i0"] + runs["tree/i1"] <= 2 + LIMIT


def test_each_restart_is_linked_to_the_life_before(records: list[Record]) -> None:
    """Its event has the trace and the span of that life; the children say their position."""
    runs = Flag()

    def child(context: ChildContext) -> None:
        if context.life < 3:
            raise ValueError
        runs.set()
        context.stopping.wait()

    supervisor = Supervisor("linked", initial_interval=0.001)
    supervisor.add("one", waits)
    supervisor.add("two", child)
    with supervisor:
        assert runs.wait(SOON)
    deferred_events().write_now()
    lives = [
        (record.trace_id, record.span_id)
        for record in records
        if (record.kind, record.phase, record.name) == ("span", "start", "two")
    ]
    restarts = [record for record in records if record.name == "child.restarted"]
    assert len(set(lives)) == 3
    assert [(one.trace_id, one.span_id) for one in restarts] == lives[:2]
    assert [one.attributes["life"] for one in restarts] == [2, 3]
    positions = {
        entity.id: one.attributes["position"]
        for one in records
        if one.name == "child.running" and (entity := entity_of(one)) is not None
    }
    assert positions == {"linked/one": 1, "linked/two": 2}
