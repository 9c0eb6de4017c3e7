"""The command `otel-ext rebuild`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.feed.feeder import RECEIVED_FOLDER
from otel_ext.store.queries import TraceQuery
from otel_ext.store.sqlite.days import days_in
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.store import SqliteStore
from otel_ext.store.sqlite.writer import SqliteWriter
from tests.commands import call
from tests.store.records import NOON, SECOND, process_line, span_line

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400 * SECOND


def write(folder: Path, *lines: bytes) -> None:
    """Write a file of records."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def test_a_store_is_made_of_the_records(tmp_path: Path) -> None:
    """One sentence says what was stored, and what was not; a second run gives the same."""
    folder = tmp_path / "traces"
    write(folder, process_line(), span_line("end", 1), b"garbage", span_line("end", 1, trace=2))
    for _ in range(2):
        done = call("rebuild", folder)
        assert done.code == 0
        assert "3 records stored" in done.out
        assert "1 damaged part passed over." in done.out
    store = SqliteStore(folder / STORE_FOLDER)
    assert len(list(store.candidates(TraceQuery()))) == 2
    store.close()


def test_records_that_a_server_has_received(tmp_path: Path) -> None:
    """A folder may have no others."""
    write(tmp_path / "traces")
    write(tmp_path / "traces" / RECEIVED_FOLDER, span_line("end", 1))
    done = call("rebuild", tmp_path / "traces")
    assert (done.code, done.err) == (0, "")
    assert "1 record stored" in done.out


def test_a_folder_without_records_gets_no_store(tmp_path: Path) -> None:
    """One sentence says that there are none."""
    done = call("rebuild", tmp_path)
    assert done.code == 1
    assert f"no records in {tmp_path}" in done.err
    assert not (tmp_path / STORE_FOLDER).exists()


def test_days_that_are_kept(tmp_path: Path) -> None:
    """The store has files for so many days."""
    write(tmp_path, *(span_line("end", 1, trace=n + 1, at=NOON - n * DAY) for n in range(3)))
    assert call("rebuild", "--keep-days", "2", tmp_path).code == 0
    assert len(days_in(tmp_path / STORE_FOLDER)) == 2


def test_for_programs(tmp_path: Path) -> None:
    """With --json the output is one object a folder."""
    write(tmp_path, span_line("end", 1))
    document = call("rebuild", "--json", tmp_path).document
    assert (document["records"], document["skipped"]) == (1, 0)
    assert document["store"] == str(tmp_path / STORE_FOLDER)
    assert document["bytes"] > 0


def test_a_store_in_use_is_left_alone(tmp_path: Path) -> None:
    """While another process writes the store, it says so and fails."""
    write(tmp_path, span_line("end", 1))
    writer = SqliteWriter(tmp_path / STORE_FOLDER)
    done = call("rebuild", tmp_path)
    writer.close()
    assert done.code == 1
    assert "another process writes this store" in done.err
    assert "Traceback" not in done.err


def test_a_damaged_store_is_replaced(tmp_path: Path) -> None:
    """A store that cannot be read any more is made anew."""
    write(tmp_path, span_line("end", 1))
    call("rebuild", tmp_path)
    for path in (tmp_path / STORE_FOLDER).glob("*.sqlite"):
        path.write_bytes(b"garbage" * 1_000)
    assert call("rebuild", tmp_path).code == 0
    store = SqliteStore(tmp_path / STORE_FOLDER)
    assert len(list(store.candidates(TraceQuery()))) == 1
    store.close()
