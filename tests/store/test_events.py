"""Events and entities of a store: the same as those of the files, in any order and batches."""

from __future__ import annotations

from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_ext.errors import StoreError
from otel_ext.feed.feeder import Feeder, feed_all
from otel_ext.journal.recovery.recover import recover
from otel_ext.observe.event_files import EventFiles
from otel_ext.observe.event_query import EventPlace, EventQuery
from otel_ext.record.entities import CHECKPOINT, Entity, NewestEntities
from otel_ext.store.sqlite import common, schema
from otel_ext.store.sqlite.days import StoreLimits
from otel_ext.store.sqlite.event_rows import statement_of
from otel_ext.store.sqlite.store import SqliteStore
from otel_ext.store.sqlite.writer import SqliteWriter
from tests.observe.agents import TWO_AGENTS, running
from tests.observe.test_event_files import LINES, PID_7, PID_8
from tests.store.records import (
    NOON,
    SECOND,
    entries_of,
    event_line,
    log_line,
    process_line,
    span_line,
)
from tests.store.stores import PAIRS, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DAY = 86_400 * SECOND
QUERIES: list[dict[str, Any]] = [
    *({}, {"kinds": ("log",)}, {"kinds": ("event", "log")}, {"kinds": ()}),
    *({"name": name} for name in ("cache.*", "*.full", "cache.full", "c?che*", "[ap]*", "nothing")),
    *({"name": name} for name in ("'; drop table log; --", "*" * 200, "\0*", "x" * 5_000, "[", "")),
    *({"since_ns": NOON + SECOND}, {"until_ns": NOON + SECOND}, {"since_ns": 1 << 70}),
    *({"since_ns": -(1 << 70)}, {"until_ns": 1 << 70}, {"until_ns": NOON}),
    *({"trace_id": one} for one in (f"{1:032x}", "ab", "a", "AB", "zz", "0" * 33, "'")),
    *({"correlation": one} for one in ("c-1", "7", "c", "x" * 9_000)),
    *({"process": one} for one in ("7", "8", PID_7, f"{PID_7}.2", "1", "p", "'", "")),
    *({"entity_type": "agent"}, {"entity_id": "a"}, {"entity_type": "x"}, {"entity_id": "'"}),
    *({"limit": 2}, {"limit": 0}, {"limit": -1}),
    {"before": EventPlace(NOON + 2 * SECOND, 5, PID_8)},
    {"before": EventPlace(1 << 70, 1 << 70, "")},
]


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Return an empty store of each kind."""
    with PAIRS[request.param]() as opened:
        yield opened


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EventFiles, SqliteStore]]:
    """Return the same records as files and as a store, over some days."""
    folder = tmp_path_factory.mktemp("same")
    days = [event_line(f"day.{n}", seq=20 + n, at=NOON - n * DAY, trace=n + 5) for n in range(3)]
    late = event_line("late", seq=30, trace=6, at=NOON + 9 * SECOND)  # in the file of another day
    lines = [*LINES, *days, late, *days]
    (folder / "a.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    with closing(SqliteWriter(folder / "store")) as writer:
        feed_all(Feeder(folder, writer), lambda _: None)
    with closing(SqliteStore(folder / "store")) as store:
        yield EventFiles([folder]), store


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_store_finds_what_the_files_have(
    same: tuple[EventFiles, SqliteStore], query: dict[str, Any]
) -> None:
    """One query, one answer, whatever is asked."""
    files, store = same
    assert list(store.events(EventQuery(**query))) == files.events(EventQuery(**query))


def test_pages_follow_each_other(same: tuple[EventFiles, SqliteStore]) -> None:
    """The cursor of a store leads through all days; that of files means the same."""
    files, store = same
    whole = files.events(EventQuery(kinds=("event", "log")))
    assert len(whole) == 9
    before = None
    for event in whole:
        query = EventQuery(kinds=("event", "log"), before=before, limit=1)
        assert list(store.events(query)) == [event]
        before = EventPlace.parse(str(event.place))


def test_those_of_one_time(pair: Pair) -> None:
    """Number and process decide about their order."""
    lines = [event_line(f"{n}-{p}", seq=n, process=p) for n in range(3) for p in ("p", "r", "q")]
    pair.write(*lines)
    assert [one.name for one in pair.store.events(EventQuery())] == [
        f"{n}-{p}" for n in (2, 1, 0) for p in ("r", "q", "p")
    ]


def test_an_empty_store(pair: Pair) -> None:
    """It has neither events nor entities."""
    assert not list(pair.store.events(EventQuery(process="7")))
    assert not pair.store.entities()


def test_events_are_found_by_their_index(tmp_path: Path) -> None:
    """Among many logs, those of a correlation and events by time need no scan."""
    with closing(SqliteWriter(tmp_path)) as writer:
        writer.write([])
    with closing(schema.open_day(tmp_path / "x.day.sqlite")) as connection:
        for query, index in (
            (EventQuery(), "log_event"),
            (EventQuery(name="x.*", since_ns=NOON, until_ns=NOON + SECOND), "log_event"),
            (EventQuery(kinds=("event", "log")), "log_time"),
            (EventQuery(correlation="c", since_ns=NOON), "log_correlation"),
            (EventQuery(trace_id=f"{1:032x}"), "log_trace"),
        ):
            statement, values = statement_of(query)
            plan = connection.execute(f"explain query plan {statement}", values).fetchall()
            assert index in str(plan), plan


def living(pair: Pair) -> dict[tuple[str, str, str], bytes]:
    """Return the lines of the entities that live."""
    found = pair.store.entities()
    assert [one.time_ns for one in found] == sorted((one.time_ns for one in found), reverse=True)
    return {(one.process, one.entity.type, one.entity.id): one.line for one in found}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from("pq"),
        st.sampled_from(["agent", CHECKPOINT]),
        st.sampled_from("ab"),
        st.booleans(),
    ),
    max_size=10,
)


@given(data=st.data(), changes=CHANGES, ended=st.sets(st.sampled_from("pq")))
@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("name", PAIRS)
def test_the_merge_rule(
    name: str, data: st.DataObject, changes: list[tuple[str, str, str, bool]], ended: set[str]
) -> None:
    """Any order, repeats and batches: the store has what `NewestEntities` has."""
    newest: NewestEntities[bytes] = NewestEntities()
    lines: list[bytes] = []
    for seq, (process, kind, one, deleted) in enumerate(changes, 1):
        entity = Entity(kind, one, deleted)
        line = event_line(
            "x", process=process, seq=seq, at=NOON + seq, entity=(kind, one), deleted=deleted
        )
        lines.append(line)
        newest.add(process, entity, seq, line)
    lines += [process_line("process.end", process=process, seq=99) for process in sorted(ended)]
    repeats = data.draw(st.lists(st.sampled_from(lines))) if lines else []
    order = data.draw(st.permutations([*lines, *repeats]))
    wanted = {
        tuple(key): line
        for key, line in newest.living()
        if key.process not in ended or key.type == CHECKPOINT
    }
    with PAIRS[name]() as pair:
        for batch in batches(order, data.draw(st.integers(1, 5))):
            pair.write(*batch)
        assert living(pair) == wanted
        pair.writer.forget()
        pair.write(*order[:3])
        assert living(pair) == wanted


def batches(lines: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    """Yield the lines in batches of a size."""
    for _, batch in groupby(enumerate(lines), lambda one: one[0] // size):
        yield [line for _, line in batch]


def test_entities_of_a_type(pair: Pair) -> None:
    """Only those are returned, with all that is known of them."""
    line = event_line("agent.registered", entity=("agent", "a"), role="import")
    pair.write(line, event_line("s", entity=("service", "a"), seq=2))
    (one,) = pair.store.entities("agent")
    assert one == ("p", Entity("agent", "a"), 1, NOON, line, pair.store.change())
    assert pair.store.entities("x") == pair.store.entities("'") == []
    assert len(pair.store.entities()) == 2


def test_a_log_is_about_no_entity(pair: Pair) -> None:
    """Whatever fields it has."""
    pair.write(log_line("x", entity={"type": "agent", "id": "a"}))
    assert pair.store.entities() == []


@pytest.mark.parametrize("odd", ["", "\0", "'; drop table entity; --", "ß" * 4_096, "😀"])
def test_odd_names(pair: Pair, odd: str) -> None:
    """They are names like others; those that are too long are left out, not the event."""
    pair.write(event_line("x", entity=(odd, odd)), event_line("y", seq=2, entity=("a", "x" * 5000)))
    assert [one.entity for one in pair.store.entities(odd)] == [Entity(odd, odd)]
    assert len(list(pair.store.events(EventQuery()))) == 2


def test_entities_are_bounded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ended and those that live; the latest stay."""
    monkeypatch.setattr(common, "_MOST_DELETED", 3)
    monkeypatch.setattr(common, "_MOST_LIVING", 5)
    for n in range(9):
        lines = [event_line("x", seq=n, at=NOON + n, entity=("agent", f"a{n}"))]
        lines += [event_line("x", seq=100 + n, entity=("agent", f"d{n}"), deleted=True)]
        pair.write(*lines)
    pair.writer.forget()
    assert [one.entity.id for one in pair.store.entities()] == [f"a{n}" for n in range(8, 3, -1)]
    pair.write(*(event_line("x", seq=20 + n, entity=("agent", f"d{n}")) for n in (0, 8)))
    assert {one.entity.id for one in pair.store.entities()} >= {"d0"}
    assert {one.entity.id for one in pair.store.entities()}.isdisjoint({"d8"})


def test_a_failed_batch_leaves_no_half(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer goes on after an error in the middle, and the same batch can be written again."""
    lines = [event_line("x", entity=("agent", "a")), span_line("end", 1, seq=2)]
    with monkeypatch.context() as patch:
        patch.setattr(common, "_ENTITY", "insert into nowhere values (?, ?, ?, ?, ?, ?, ?, ?)")
        with pytest.raises(StoreError):
            pair.write(*lines)
    pair.write(*lines)
    assert len(living(pair)) == len(list(pair.store.events(EventQuery()))) == 1


def test_a_program_that_is_fed(tmp_path: Path) -> None:
    """Agents of a killed program are stored, until the recovery ends them; a checkpoint stays."""
    body = 'register("cut", "checkpoint")\n' + TWO_AGENTS
    with running(tmp_path, body) as (folder, process):
        process.kill()
        process.wait()
    with closing(SqliteWriter(folder / ".store")) as writer:
        feeder, store = Feeder(folder, writer), SqliteStore(folder / ".store")
        feed_all(feeder, lambda _: None)
        assert {one.entity.id for one in store.entities()} == {"cut", "importer", "mailer"}
        recover(folder)
        feed_all(feeder, lambda _: None)
        assert {one.entity.id for one in store.entities()} == {"cut"}
        writer.forget()
        assert {one.entity.id for one in store.entities()} == {"cut"}
        store.close()


def test_entities_go_with_their_days(tmp_path: Path) -> None:
    """A checkpoint is kept for as long as the store keeps days of its process."""
    with closing(SqliteWriter(tmp_path, StoreLimits(days=2))) as writer:
        for n in (3, 2, 1, 0):
            line = event_line("x", process=f"p{n}", at=NOON - n * DAY, entity=(CHECKPOINT, f"c{n}"))
            writer.write(entries_of([line]))
        writer.forget()
    with closing(SqliteStore(tmp_path)) as store:
        assert [one.entity.id for one in store.entities()] == ["c0", "c1"]
