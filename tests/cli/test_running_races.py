"""`ps` and `top` while a program works: what they show was true when they read it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from otel_ext.journal.read.folder import read_incarnations
from otel_ext.journal.write.journal import Journal
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.record.codec import encode_line
from otel_ext.runtime.process.incarnation import current
from otel_ext.runtime.process.records import process_start_record
from tests.cli.interleaved import Interleaved
from tests.journal.builders import alone, end, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEEDS: Final = int(os.environ.get("SEEDS", "12"))


def shown_by_snapshot(snapshots: SnapshotReader) -> set[int]:
    """Return the numbers of the spans that `ps` and `top` show."""
    return {int(span.record.span_id, 16) for span in snapshots.read().spans}


def shown_by_recovery(folder: Path) -> set[int]:
    """Return the numbers of the spans that recovery would end."""
    readers, *_ = read_incarnations(folder)
    return {int(span.start.span_id, 16) for one in readers.values() for span in one.running()}


@pytest.mark.parametrize("reader", ["top", "ps", "recover"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_read_is_true(
    tmp_path: Path, seed: int, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No span is shown whose end was stored before the read; no open span is missed."""
    run = Interleaved(tmp_path, seed, monkeypatch)
    snapshots = SnapshotReader([tmp_path])
    reads: dict[str, Callable[[], set[int]]] = {
        "top": lambda: shown_by_snapshot(snapshots),
        "ps": lambda: shown_by_snapshot(SnapshotReader([tmp_path])),
        "recover": lambda: shown_by_recovery(tmp_path),
    }
    faults: list[str] = []

    def read_once() -> None:
        at = run.moment
        shown = reads[reader]()
        ended = {number for number, moment in run.ended.items() if moment <= at}
        open_then = {number for number, moment in run.started.items() if moment <= at}
        faults.extend(f"{number} had ended" for number in shown & ended)
        faults.extend(f"{number} is missed" for number in open_then - set(run.ending) - shown)

    run.run(read_once)
    assert not faults


def test_a_truncated_file_does_not_hide_spans_of_the_previous_file(tmp_path: Path) -> None:
    """The newest file of a hung program is emptied: older files and the ring buffer show all."""
    me = current().process_for(None)
    lines = [encode_line(process_start_record(me, 1))]
    settings = alone(ring_size=1, segment_size=4_096)
    journal = Journal(tmp_path, settings, first_lines=lambda: lines)
    ended = encode_line(start(2, me.id))
    for line in (ended, encode_line(end(3, me.id, 2, name="x" * 4_096))):
        journal.append(line)
    opened = [encode_line(start(number, me.id)) for number in (4, 5)]
    journal.append(opened[0])
    lines.append(opened[0])
    assert journal.drain()  # and begins the next file, which repeats the first span
    journal.append(opened[1])
    assert journal.drain()
    newest = tmp_path / f"{me.id}.1.jsonl"
    assert newest.read_bytes().endswith(opened[1])
    os.truncate(newest, 0)
    assert shown_by_snapshot(SnapshotReader([tmp_path])) == {4, 5}
    assert shown_by_recovery(tmp_path) == {4, 5}
    journal.close()
