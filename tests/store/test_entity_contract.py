"""What every store does with events and entities: find, merge, keep and end them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_ext.observe.event_query import EventQuery
from tests.store.records import NOON, SECOND, event_line, process_line
from tests.store.stores import PAIRS, Pair
from tests.store.test_contract import parts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Return an empty store of each kind."""
    with PAIRS[request.param]() as opened:
        yield opened


ABOUT = (
    event_line("agent.registered", seq=1, entity=("agent", "a"), role="import"),
    event_line("agent.updated", seq=2, entity=("agent", "a"), role="mail"),
    event_line("agent.registered", seq=3, at=NOON + SECOND, entity=("agent", "b")),
    event_line("agent.unregistered", seq=4, entity=("agent", "b"), deleted=True),
    event_line("checkpoint", seq=5, process="q", entity=("checkpoint", "import"), state=7),
)
"""Agent `a` was changed, `b` removed, and a checkpoint of another process stored."""


@given(order=st.permutations([*ABOUT, *ABOUT[:3]]), cuts=st.lists(st.integers(0, 8), max_size=4))
@settings(deadline=None)
@pytest.mark.parametrize("name", PAIRS)
def test_entities_and_events_in_any_order(name: str, order: list[bytes], cuts: list[int]) -> None:
    """A read after a write sees it; what is written again, or too late, changes nothing."""
    with PAIRS[name]() as pair:
        written: set[bytes] = set()
        for part in parts(order, cuts):
            pair.write(*part)
            written |= {*part}
            assert {one.line for one in pair.store.events(EventQuery())} == written
        events, entities = list(pair.store.events(EventQuery())), pair.store.entities()
        assert len(events) == len(ABOUT)
        assert {one.line for one in entities} == {ABOUT[1], ABOUT[4]}
        pair.write(*order)
        pair.writer.forget()
        pair.write(*reversed(order))
        assert list(pair.store.events(EventQuery())) == events
        assert pair.store.entities() == entities


def test_an_entity_is_of_its_process(pair: Pair) -> None:
    """Two processes may have the same name; each change of one has a higher number."""
    pair.write(ABOUT[0], event_line("x", process="q", entity=("agent", "a")))
    first = {one.process: one.change for one in pair.store.entities()}
    pair.write(ABOUT[1])
    second = {one.process: one.change for one in pair.store.entities()}
    assert (second["q"], second["p"] > max(first.values())) == (first["q"], True)


@pytest.mark.parametrize("is_late", [False, True])
def test_the_end_of_a_process_ends_its_entities(pair: Pair, is_late: bool) -> None:
    """But for checkpoints, also those that are stored after it; the events stay."""
    kept = event_line("checkpoint", seq=6, entity=("checkpoint", "copy"))
    ends = (process_line("process.end", seq=9), process_line("process.end", process="q", seq=9))
    entities = (*ABOUT, kept)
    for line in (*ends, *entities) if is_late else (*entities, *ends):
        pair.write(line)
    assert {one.line for one in pair.store.entities()} == {ABOUT[4], kept}
    assert [one.entity.id for one in pair.store.entities("checkpoint")].count("copy") == 1
    assert pair.store.entities("agent") == []
    assert len(list(pair.store.events(EventQuery()))) == len(entities)
