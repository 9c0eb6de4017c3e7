"""The files of the SQLite store: days, limits, locks, damage, a full disk."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from otel_ext.errors import StoreError
from otel_ext.search.parse import parse
from otel_ext.store.entries import SpanEntry
from otel_ext.store.protocol import Position
from otel_ext.store.queries import TraceQuery
from otel_ext.store.sqlite import schema
from otel_ext.store.sqlite import writer as sqlite_writer
from otel_ext.store.sqlite.days import StoreLimits, day_of, days_in, file_of, start_of
from otel_ext.store.sqlite.store import SqliteStore
from otel_ext.store.sqlite.writer import SqliteWriter
from tests.durability.kit import command, small_disk, tree_env
from tests.programs import execute
from tests.store.records import NOON, SECOND, entries_of, span_line

DAY = 86_400 * SECOND


def day_lines(days: int) -> list[bytes]:
    """Return a span on each of some days, the last one on that of `NOON`."""
    return [span_line("end", 1, trace=n + 1, at=NOON - n * DAY, seq=n) for n in range(days)]


def test_a_file_a_day(tmp_path: Path) -> None:
    """A trace lies in the file of the day on which it began."""
    writer = SqliteWriter(tmp_path)
    writer.write(entries_of(day_lines(3)))
    writer.close()
    assert [start_of(day) // DAY for day in days_in(tmp_path)] == [
        NOON // DAY - n for n in range(3)
    ]


def test_only_this_user_can_read_it(tmp_path: Path) -> None:
    """No file of the store is open to others, whatever the umask."""
    old = os.umask(0)
    try:
        writer = SqliteWriter(tmp_path / "store")
        writer.write(entries_of(day_lines(1)))
        modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "store").iterdir()}
        assert modes == {0}
        assert (tmp_path / "store").stat().st_mode & 0o077 == 0
        writer.close()
    finally:
        os.umask(old)


def test_the_oldest_days_are_deleted(tmp_path: Path) -> None:
    """Beyond the number of days the oldest files go; readers and the writer go on."""
    writer, store = SqliteWriter(tmp_path, StoreLimits(days=3)), SqliteStore(tmp_path)
    for line in reversed(day_lines(4)):  # the oldest first
        writer.write(entries_of([line]))
        assert list(store.candidates(TraceQuery()))
    assert writer.forget() == [file_of(tmp_path, NOON // DAY - 3).name]
    older = span_line("end", 1, trace=9, at=NOON - 9 * DAY, seq=9)
    writer.write(entries_of([older]))
    assert writer.forget() == [], "what is older comes to the oldest day"
    writer.close()
    writer = SqliteWriter(tmp_path, StoreLimits(days=2))
    assert writer.forget() == [file_of(tmp_path, NOON // DAY - 2).name]
    assert len(list(store.candidates(TraceQuery()))) == 2
    writer.write(entries_of(day_lines(1)))
    writer.close()
    store.close()


def test_the_size_is_limited(tmp_path: Path) -> None:
    """Above the size the oldest days are deleted, but never the newest."""
    writer = SqliteWriter(tmp_path, StoreLimits(size=1))
    writer.write(entries_of(day_lines(3)))
    assert len(writer.forget()) == 2
    assert days_in(tmp_path) == [NOON // DAY]
    writer.close()


def test_a_folder_name_that_is_not_utf8(tmp_path: Path) -> None:
    """Any folder can hold a store, and be read."""
    folder = tmp_path / os.fsdecode(b"caf\xe9 ?x=1#%41")
    writer, store = SqliteWriter(folder), SqliteStore(folder)
    writer.write(entries_of(day_lines(1)))
    assert len(list(store.candidates(TraceQuery()))) == 1
    writer.close()
    store.close()


def test_positions_are_kept(tmp_path: Path) -> None:
    """Positions in files of any name and any inode are there again, those of gone files are not."""
    odd = Position(os.fsdecode(b"caf\xe9.jsonl"), 2**64 - 1, 7)
    gone = Position("gone.jsonl", 0, 0)
    writer = SqliteWriter(tmp_path)
    writer.write([], [Position("gone.jsonl", 2**63, 9), odd._replace(offset=3)])
    writer.write([], [gone, odd])
    writer.close()
    writer = SqliteWriter(tmp_path)
    assert writer.positions() == [odd]
    writer.close()


def test_times_far_away_make_no_files() -> None:
    """A span that claims to be of the next century is one of today."""
    assert day_of(NOON + 40_000 * DAY, NOON) == NOON // DAY
    assert day_of(-DAY, NOON) == NOON // DAY
    assert day_of(NOON + DAY, NOON) == NOON // DAY + 1


def test_one_writer(tmp_path: Path) -> None:
    """A second writer is refused, with what to do; it may write when the first is done."""
    first = SqliteWriter(tmp_path)
    with pytest.raises(StoreError, match="another process writes this store"):
        SqliteWriter(tmp_path)
    first.close()
    SqliteWriter(tmp_path).close()


def test_readers_go_on_while_it_is_made_anew(tmp_path: Path) -> None:
    """A reader sees the new store as soon as it is there, and nothing of the old one."""
    writer, store = SqliteWriter(tmp_path), SqliteStore(tmp_path)
    writer.write(entries_of([span_line("end", 1, trace=1)]))
    assert [one.trace_id[-1] for one in store.candidates(TraceQuery())] == ["1"]
    writer.close()
    writer = SqliteWriter(tmp_path, anew=True)
    assert list(store.candidates(TraceQuery())) == []
    writer.write(entries_of([span_line("end", 1, trace=2, name="other", process="q")]))
    (found,) = store.candidates(TraceQuery())
    assert (found.trace_id[-1], found.name, found.process) == ("2", "other", "q")
    assert [span.name for span in store.spans_of(found.trace_id).spans] == ["other"]
    writer.close()
    store.close()


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    """Without a store there is nothing, and no error."""
    store = SqliteStore(tmp_path / "none")
    assert store.change() == 0
    assert list(store.candidates(TraceQuery())) == []
    assert store.spans_of("0" * 32).spans == ()
    assert store.summary("not hexadecimal") is None
    assert store.processes() == []
    assert store.operations(0, NOON) == []


def test_a_store_that_is_being_made(tmp_path: Path) -> None:
    """A file without tables yet is one of a store without anything."""
    (tmp_path / schema.COMMON_FILE).touch()
    file_of(tmp_path, NOON // DAY).touch()
    store = SqliteStore(tmp_path)
    assert store.change() == 0
    assert list(store.candidates(TraceQuery())) == []
    assert store.totals() == (0, 0, 0)
    store.close()


def test_another_version_is_refused(tmp_path: Path) -> None:
    """A store of another version is not touched; the error says how to make it anew."""
    SqliteWriter(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / schema.COMMON_FILE)) as connection:
        connection.execute("pragma user_version = 99")
    for use in (lambda: SqliteWriter(tmp_path), lambda: SqliteStore(tmp_path).change()):
        with pytest.raises(StoreError, match="version 99.*otel-ext rebuild"):
            use()
    SqliteWriter(tmp_path, anew=True).close()


def test_damage_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    """A damaged file is named, with the command that makes the store anew."""
    writer = SqliteWriter(tmp_path)
    writer.write(entries_of(day_lines(1)))
    writer.close()
    path = file_of(tmp_path, NOON // DAY)
    path.write_bytes(b"not a database" * 1_000)
    store = SqliteStore(tmp_path)
    with pytest.raises(StoreError, match="otel-ext rebuild"):
        list(store.candidates(TraceQuery()))
    with pytest.raises(StoreError, match="otel-ext rebuild"):
        SqliteWriter(tmp_path)
    store.close()


@pytest.mark.parametrize("name", [schema.COMMON_FILE, file_of(Path(), NOON // DAY).name])
@pytest.mark.parametrize("start", [0, 4_096], ids=["all of it", "its tables"])
def test_a_damaged_store_is_closed(tmp_path: Path, name: str, start: int) -> None:
    """Whichever part is damaged, the error is one of the store, and no file is left open."""
    writer = SqliteWriter(tmp_path)
    writer.write(entries_of(day_lines(2)))
    writer.close()
    with (tmp_path / name).open("r+b") as file:
        file.seek(start)
        file.write(b"x" * ((tmp_path / name).stat().st_size - start))
    store = SqliteStore(tmp_path)

    def ask() -> None:
        store.processes()
        list(store.candidates(TraceQuery()))

    before = len(list(Path("/proc/self/fd").iterdir()))
    errors = list[StoreError]()
    for use in (ask, lambda: SqliteWriter(tmp_path)):
        with pytest.raises(StoreError, match="otel-ext rebuild") as raised:
            use()
        errors.append(raised.value)  # as long as they live, what they refer to does
    store.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_questions_use_connections_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that have their answer before all days are read."""
    writer, store = SqliteWriter(tmp_path), SqliteStore(tmp_path)
    writer.write(entries_of(day_lines(2)))
    trace_id = next(store.candidates(TraceQuery())).trace_id
    opened: list[Path] = []

    def note(path: Path) -> sqlite3.Connection | None:
        opened.append(path)
        return schema.open_to_read(path)

    monkeypatch.setattr("otel_ext.store.sqlite.pool.open_to_read", note)
    for _ in range(3):
        assert store.lines_of(store.spans_of(trace_id).spans)
        assert store.summary(trace_id) is not None
    assert len(opened) <= 1
    store.close()
    writer.close()


def test_a_writer_remembers_few_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many traces come, each in one batch only, the writer's memory does not grow."""
    monkeypatch.setattr(sqlite_writer, "_MOST_HOMES", 3)
    writer, store = SqliteWriter(tmp_path), SqliteStore(tmp_path)
    writer.write(entries_of([span_line("start", 1, trace=n, seq=n) for n in range(1, 8)]))
    writer.write(entries_of([span_line("start", 1, trace=n, seq=n) for n in range(8, 11)]))
    assert len(writer._homes) == 3  # noqa: SLF001 - what grows cannot be seen from outside
    writer.write(entries_of([span_line("end", 1, trace=n, seq=n + 20) for n in range(1, 11)]))
    assert [(one.spans, one.open) for one in store.candidates(TraceQuery())] == [(1, 0)] * 10
    writer.close()
    store.close()


def test_a_batch_that_fails_changes_nothing(tmp_path: Path) -> None:
    """After a failure within a batch, the same batch can be written."""
    writer, store = SqliteWriter(tmp_path), SqliteStore(tmp_path)
    good = entries_of([span_line("end", 1, trace=n, seq=n) for n in (1, 2)])
    bad = entries_of([span_line("end", 9, trace=9, seq=9)])
    broken = [
        one._replace(span=one.span._replace(seq=object()))  # type: ignore[arg-type]
        for one in bad
        if isinstance(one, SpanEntry)
    ]
    with pytest.raises(StoreError):
        writer.write([*good, *broken])
    assert list(store.candidates(TraceQuery())) == []
    writer.write([*good, *bad])
    assert len(list(store.candidates(TraceQuery()))) == 3
    writer.close()
    store.close()


def test_without_an_index_of_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a SQLite that cannot index texts, everything works, only slower."""
    monkeypatch.setattr(schema, "has_text_search", lambda: False)
    writer, store = SqliteWriter(tmp_path), SqliteStore(tmp_path)
    writer.write(entries_of([span_line("end", 1, user="ann"), span_line("end", 1, trace=2)]))
    found = list(store.candidates(TraceQuery(parse("user=ann pay"))))
    assert len(found) == 2, "nothing is narrowed"
    writer.close()
    store.close()


def test_a_full_disk(tmp_path: Path) -> None:
    """On a full disk the store says so; when there is room again, nothing is missing."""
    text = """
    from pathlib import Path
    from otel_ext.errors import StoreError
    from otel_ext.store.queries import TraceQuery
    from otel_ext.store.sqlite.store import SqliteStore
    from otel_ext.store.sqlite.writer import SqliteWriter
    from tests.store.records import entries_of, span_line
    folder = Path(sys.argv[1])
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 1024 * 1024)
    writer, store = SqliteWriter(folder / "store"), SqliteStore(folder / "store")
    stored = 0
    try:
        while True:
            lines = [span_line("end", n, trace=stored + 1, seq=stored * 100 + n, note="x" * 2000)
                     for n in range(1, 101)]
            writer.write(entries_of(lines))
            stored += 1
    except StoreError as error:
        print(error, error.is_temporary)
    found = [one.spans for one in store.candidates(TraceQuery())]
    # Of the last batch some may be stored.
    assert len(found) <= stored + 1
    assert found[len(found) - stored:] == [100] * stored
    ballast.unlink()
    writer.write(entries_of(lines))
    assert [one.spans for one in store.candidates(TraceQuery())] == [100] * (stored + 1)
    """
    done = execute(
        small_disk(8_192, tmp_path / "disk", command(text, tmp_path / "disk", head="import sys\n")),
        cwd=tmp_path,
        env=tree_env(),
    )
    assert done.code == 0, done.err
    assert "Make room on the disk" in done.out
    assert done.out.strip().endswith("True")
