"""Events of files and of the stores beside them: merged, each once, the newest first."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import StoreError
from otel_ext.feed.feeder import Feeder, feed_all
from otel_ext.store import EventFiles, EventFinder, EventQuery
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.writer import SqliteWriter
from tests.observe.agents import running
from tests.observe.test_event_files import written
from tests.store.records import NOON, SECOND, event_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_ext.store import RecordedEvent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder whose store has `e0` to `e5`, and whose files have `e3` to `e8`."""
    written(tmp_path, *(line(n) for n in range(6)))
    fed(tmp_path)
    written(tmp_path, *(line(n) for n in range(3, 9)))
    return tmp_path


def line(number: int) -> bytes:
    """Return an event; those with higher numbers are later."""
    process = "pq"[number % 2]
    return event_line(f"e{number}", seq=number, process=process, at=NOON + number * SECOND)


def fed(folder: Path) -> None:
    """Store what the files of a folder have."""
    with closing(SqliteWriter(folder / STORE_FOLDER)) as writer:
        feed_all(Feeder(folder, writer), lambda _: None)


def names(events: Iterable[RecordedEvent]) -> str:
    """Return the numbers of events."""
    return "".join(one.name.removeprefix("e") for one in events)


def test_files_and_their_store_are_merged(folder: Path) -> None:
    """Each event once, the newest first, whatever else is named."""
    named: list[list[str | Path]] = [[folder], [str(folder), folder / STORE_FOLDER]]
    named.append([folder, folder / "a.jsonl"])
    for paths in named:
        finder = EventFinder(paths)
        assert names(finder.events(EventQuery())) == "876543210"
        assert names(finder.events(EventQuery(limit=7))) == "8765432"
        assert not finder.events(EventQuery(limit=0))
        assert not finder.events(EventQuery(limit=-1))
        assert finder.problems == []
    assert names(EventFinder([folder], with_stores=False).events(EventQuery())) == "876543"
    assert names(EventFinder([folder / "a.jsonl"]).events(EventQuery())) == "876543"
    assert names(EventFinder([folder / STORE_FOLDER]).events(EventQuery())) == "543210"
    assert names(EventFiles([str(folder)]).events(EventQuery())) == "876543"


def test_pages_follow_each_other(folder: Path) -> None:
    """A cursor leads from the files into the store."""
    finder, before, found = EventFinder([folder]), None, ""
    while page := finder.events(EventQuery(limit=2, before=before, process="p")):
        found, before = found + names(page), page[-1].place
    assert found == "86420"


def test_copies_are_known_by_process_and_number(folder: Path) -> None:
    """Also if one of them was given another time."""
    written(folder, event_line("e5", seq=5, process="q", at=NOON + 30 * SECOND), name="b.jsonl")
    assert names(EventFinder([folder]).events(EventQuery())) == "587643210"


@pytest.mark.parametrize("damage", ["common.sqlite", "day"])
def test_a_damaged_store_hides_no_file(folder: Path, damage: str) -> None:
    """It is left out, and named; one that was asked for is an error."""
    store = folder / STORE_FOLDER
    for file in store.glob(f"*{damage}*"):
        file.write_bytes(b"not a database" * 1_000)
    finder = EventFinder([folder])
    assert names(finder.events(EventQuery())) == "876543"
    (problem,) = finder.problems
    assert "the store of the folder is left out" in problem
    with pytest.raises(StoreError):
        EventFinder([store]).events(EventQuery())


def test_files_that_cannot_be_read(folder: Path) -> None:
    """The others are read; each question has its own problems."""
    broken = folder / "b.jsonl"
    broken.symlink_to("b.jsonl")
    (folder / "c.jsonl").symlink_to("deleted meanwhile")
    (folder / "d.jsonl").mkdir()
    for finder in (EventFinder([folder]), EventFiles([folder])):
        for _ in range(2):
            assert names(finder.events(EventQuery(limit=6))) == "876543"
            first, second = finder.problems
            assert first.startswith(f"{broken}: cannot be read: ")
            assert second.startswith(f"{folder / 'd.jsonl'}: cannot be read: ")


def test_paths_without_anything(tmp_path: Path) -> None:
    """They have no events, and are no problem."""
    (tmp_path / STORE_FOLDER).mkdir()
    finder = EventFinder([tmp_path, tmp_path / "gone", tmp_path / STORE_FOLDER])
    assert (finder.events(EventQuery()), finder.problems) == ([], [])


def test_a_program_whose_files_are_gone(tmp_path: Path) -> None:
    """What it wrote is in the store, beside what another one writes now."""
    with running(tmp_path, 'write_event("old")\nwait()\n') as (folder, process):
        process.kill()
        process.wait()
    fed(folder)
    for file in folder.glob("*.jsonl"):
        file.unlink()
    with running(tmp_path, 'write_event("new")\nwait()\n') as (folder, _):
        found = EventFinder([folder]).events(EventQuery())
        assert [one.name for one in found] == ["new", "old"]
