"""Retention deletes old segments and those beyond the size, except needed ones."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from otel_ext.journal.recovery.retention import apply_retention
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.runtime.process.incarnation import Incarnation

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DEAD = ["00000000-7-1-0000000a", "00000000-8-1-0000000b", "00000000-9-1-0000000c"]
DAY = 86_400.0
NOW = time.time()


def make(folder: Path, name: str, *, days: float, size: int = 1000) -> Path:
    """Create a file that was last written some days ago."""
    path = folder / name
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - days * DAY, NOW - days * DAY))
    return path


def left(folder: Path) -> set[str]:
    """Return the names of the files that are left."""
    return {path.name for path in folder.iterdir() if path.is_file()}


def test_segments_that_are_too_old_are_deleted(tmp_path: Path) -> None:
    """Closed segments older than the limit are deleted, younger ones stay."""
    make(tmp_path, f"{DEAD[0]}.jsonl", days=8)
    make(tmp_path, f"{DEAD[1]}.jsonl", days=6)
    deleted = apply_retention(tmp_path, max_bytes=0, max_age=7 * DAY, now=NOW)
    assert [path.name for path in deleted] == [f"{DEAD[0]}.jsonl"]
    assert left(tmp_path) == {f"{DEAD[1]}.jsonl"}


def test_beyond_the_size_the_oldest_are_deleted(tmp_path: Path) -> None:
    """Beyond the total size the oldest closed segments are deleted first."""
    for days, name in zip((3, 2, 1), DEAD, strict=True):
        make(tmp_path, f"{name}.jsonl", days=days)
    apply_retention(tmp_path, max_bytes=2_000, max_age=0, now=NOW)
    assert left(tmp_path) == {f"{DEAD[1]}.jsonl", f"{DEAD[2]}.jsonl"}


def test_no_limit_deletes_nothing(tmp_path: Path) -> None:
    """Zero is no limit."""
    make(tmp_path, f"{DEAD[0]}.jsonl", days=1000)
    assert apply_retention(tmp_path, max_bytes=0, max_age=0, now=NOW) == []


def test_of_living_processes_only_older_segments_are_deleted(tmp_path: Path) -> None:
    """The newest segment of a living process stays, however old."""
    me = Incarnation().id
    for name in (f"{me}.jsonl", f"{me}.1.jsonl", f"{me}.2.jsonl"):
        make(tmp_path, name, days=100)
    apply_retention(tmp_path, max_bytes=1, max_age=DAY, now=NOW)
    assert left(tmp_path) == {f"{me}.2.jsonl"}


def test_segments_that_need_recovery_stay(tmp_path: Path) -> None:
    """A dead incarnation with a ring buffer may have open spans in its newest segment."""
    make(tmp_path, f"{DEAD[0]}.jsonl", days=100)
    (tmp_path / RING_FOLDER).mkdir()
    (tmp_path / RING_FOLDER / f"{DEAD[0]}.ring").touch()
    apply_retention(tmp_path, max_bytes=1, max_age=DAY, now=NOW)
    assert left(tmp_path) == {f"{DEAD[0]}.jsonl"}


def test_segments_written_just_now_stay(tmp_path: Path) -> None:
    """A process in another container cannot be checked; its new file counts as in use."""
    make(tmp_path, f"{DEAD[0]}.jsonl", days=0)
    apply_retention(tmp_path, max_bytes=1, max_age=DAY, now=NOW)
    assert left(tmp_path) == {f"{DEAD[0]}.jsonl"}


def test_other_files_are_never_deleted(tmp_path: Path) -> None:
    """Only files named as segments are deleted; links and the user's files stay."""
    make(tmp_path, "trace.jsonl", days=100)
    make(tmp_path, "notes.txt", days=100)
    (tmp_path / f"{DEAD[1]}.jsonl").symlink_to(tmp_path / "notes.txt")
    apply_retention(tmp_path, max_bytes=1, max_age=DAY, now=NOW)
    assert left(tmp_path) == {"trace.jsonl", "notes.txt", f"{DEAD[1]}.jsonl"}


def test_a_missing_folder_is_not_an_error(tmp_path: Path) -> None:
    """The user may have removed it."""
    assert apply_retention(tmp_path / "gone", max_bytes=1, max_age=1) == []


def test_ring_buffers_that_cannot_be_listed_may_need_any_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without a free descriptor: nothing is deleted until they can."""
    make(tmp_path, f"{DEAD[0]}.jsonl", days=8)
    real = os.listdir

    def no_descriptor(path: str | Path) -> list[str]:
        if str(path).endswith(RING_FOLDER):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path)

    monkeypatch.setattr(os, "listdir", no_descriptor)
    assert apply_retention(tmp_path, max_bytes=0, max_age=7 * DAY, now=NOW) == []
    monkeypatch.undo()
    assert len(apply_retention(tmp_path, max_bytes=0, max_age=7 * DAY, now=NOW)) == 1
