"""The merge rule of entities: whatever the order and the repetition, the highest number decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.record import entities
from otel_ext.record.entities import Entity, EntityKey, NewestEntities, entity_in, entity_of
from otel_ext.record.model import Process, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Change = tuple[str, str, bool]


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, "agent", [], ["agent", "a"], {}),
        *({"type": "agent"}, {"id": "a"}, {"type": 1, "id": "a"}, {"type": "agent", "id": None}),
    ],
)
def test_metadata_of_another_form_name_no_entity(value: object) -> None:
    """Nothing is guessed from odd metadata, and nothing raises."""
    assert entity_in({"entity": value}) is None


@pytest.mark.parametrize(("deleted", "found"), [(True, True), (1, False), ("yes", False)])
def test_only_true_deletes(deleted: object, found: bool) -> None:
    """Another value of `deleted` leaves the entity alive."""
    meta = {"entity": {"type": "agent", "id": "a", "deleted": deleted}}
    assert entity_in(meta) == Entity("agent", "a", found)


def test_an_entity_survives_its_metadata() -> None:
    """What is written is what is read."""
    for entity in (Entity("agent", "a"), Entity("", "\0", deleted=True)):
        assert entity_in({"entity": entity.as_metadata()}) == entity


def test_only_events_are_about_entities() -> None:
    """Metadata of that name in a record of another kind mean nothing."""
    about = {"entity": {"type": "agent", "id": "a"}}
    event = Record("event", None, "x", 0, 1, Process("p"), extra=about)
    assert entity_of(event) == Entity("agent", "a")
    assert entity_of(event._replace(kind="log")) is None


def living(changes: Sequence[tuple[int, Change]]) -> Mapping[EntityKey, Any]:
    """Return what lives after some changes in the order of their numbers."""
    found: dict[EntityKey, int] = {}
    for seq, (process, name, deleted) in sorted(changes):
        key = EntityKey(process, "agent", name)
        if deleted:
            found.pop(key, None)
        else:
            found[key] = seq
    return found


def taken(changes: Sequence[tuple[int, Change]]) -> NewestEntities[int]:
    """Return the entities after some changes, in the order given."""
    newest: NewestEntities[int] = NewestEntities()
    for seq, (process, name, deleted) in changes:
        newest.add(process, Entity("agent", name, deleted), seq, seq)
    return newest


CHANGES = st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from("abc"), st.booleans())).map(
    lambda changes: list(enumerate(changes))
)


@given(CHANGES.flatmap(lambda all_: st.tuples(st.just(all_), st.permutations(all_ + all_[::2]))))
def test_order_and_repetition_do_not_matter(
    changes: tuple[list[tuple[int, Change]], list[tuple[int, Change]]],
) -> None:
    """Records may come in any order, and again."""
    newest = taken(changes[1])
    assert dict(newest.living()) == living(changes[0])
    assert len(newest) == len(living(changes[0]))


@given(CHANGES, st.randoms())
def test_files_may_be_merged(changes: list[tuple[int, Change]], rng: Any) -> None:  # noqa: ANN401
    """Two files that each have a part, also a common one, together give the same as one."""
    parts = [[one for one in changes if rng.random() < 0.7] for _ in range(2)]
    rest = [one for one in changes if one not in parts[0] and one not in parts[1]]
    newest = taken(parts[0])
    newest.update(taken(parts[1] + rest))
    assert dict(newest.living()) == living(changes)


def test_deleted_entities_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that makes and ends many does not fill the memory; the latest stay known."""
    monkeypatch.setattr(entities, "_MAX_DELETED", 10)
    newest = taken([(2 * n + 1, ("p", str(n), True)) for n in range(30)])
    newest.add("p", Entity("agent", "29"), 58, 58)
    assert dict(newest.living()) == {}
    newest.add("p", Entity("agent", "0"), 0, 0)
    assert len(newest) == 1
