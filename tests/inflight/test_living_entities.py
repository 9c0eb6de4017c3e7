"""The entities that a journal repeats in a new file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from otel_ext.inflight import entities
from otel_ext.inflight.entities import LivingEntities
from otel_ext.record.entities import Entity
from otel_ext.record.model import Process, Record
from tests.programs import in_child


def about(name: str, seq: int = 1, *, deleted: bool = False) -> Record:
    """Return a record about an agent."""
    extra: dict[str, object] = {"entity": Entity("agent", name, deleted).as_metadata()}
    return Record("event", None, f"{name}.{seq}", 0, seq, Process("p"), extra=extra)


def names(living: LivingEntities) -> list[str]:
    """Return the names of the records that would be repeated."""
    return [record.name for record in living.records()]


def test_the_newest_record_is_kept_until_the_entity_ends() -> None:
    """Updates replace, a deletion forgets, and other records leave no trace."""
    living = LivingEntities()
    for record in (about("a"), about("b"), about("a", 2), about("b", 3, deleted=True)):
        living.note(record)
    living.note(about("c", deleted=True))
    living.note(Record("event", None, "cache.full", 0, 4, Process("p")))
    assert names(living) == ["a.2"]


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it new ones are left out, but those that are known are still updated."""
    monkeypatch.setattr(entities, "_MAX_LIVING", 2)
    living = LivingEntities()
    for record in (about("a"), about("b"), about("c"), about("a", 2)):
        living.note(record)
    assert names(living) == ["a.2", "b.1"]


@pytest.mark.forks
def test_a_forked_child_has_none() -> None:
    """They belong to the parent, which ends them too."""
    living = LivingEntities()
    living.note(about("a"))
    assert in_child(lambda: names(living)) == "[]"
    assert names(living) == ["a.1"]


def test_threads_may_add_while_a_file_begins() -> None:
    """Reading while others write neither fails nor loses one."""
    living = LivingEntities()

    def write(thread: int) -> None:
        for n in range(300):
            living.note(about(f"{thread}-{n}"))

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, thread) for thread in range(3)]
        while not all(one.done() for one in writing):
            living.records()
        for one in writing:
            one.result()
    assert len(living.records()) == 900
