"""Stack requests through ring buffers: which programs answer, and which files stay untouched."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from otel_ext.journal.ring_layout import HEADER_SIZE, REQUEST_AT, WORD
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.observe.stack_requests import request_stacks
from tests.cli.watched import shop
from tests.programs import suspend
from tests.threads import in_threads

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.observe.processes import RunningProcess
    from tests.cli.watched import Shop


def processes(folder: Path) -> tuple[RunningProcess, ...]:
    """Return the processes of the folder `traces`."""
    return SnapshotReader([folder / "traces"]).read().processes


def test_a_program_answers_each_time(open_shop: Shop) -> None:
    """Each request is answered by one update for each open span, with its stack."""
    reader = SnapshotReader([open_shop.folder / "traces"])
    seen: list[int] = []
    for _ in range(3):
        assert request_stacks(reader.read().processes, timeout=20.0) == []
        updates = [span.update for span in reader.read().spans]
        assert all(update is not None and update.extra.get("stack") for update in updates)
        seen += [update.seq for update in updates if update is not None]
    assert len(set(seen)) == 6


def test_an_answer_to_an_older_request_does_not_count(tmp_path: Path) -> None:
    """Only the value of the request itself is an answer, not any higher value.

    Earlier versions used the time as the value, and the clock may have been set back since.
    """
    with shop(tmp_path) as program:
        (process,) = processes(tmp_path)
        suspend(program)
        with process.rings[0].open("r+b") as ring:
            ring.seek(REQUEST_AT)
            far_ahead = WORD.pack(time.time_ns() + 10**18)
            ring.write(far_ahead * 2)
        assert request_stacks([process], timeout=0.3) == [process]
        program.send_signal(signal.SIGCONT)
        assert request_stacks([process], timeout=20.0) == []


def test_simultaneous_requests_are_all_answered(open_shop: Shop) -> None:
    """A later request overwrites the earlier one, and its answer counts for both."""
    asked = processes(open_shop.folder)
    silent: list[RunningProcess] = []

    def ask_often() -> None:
        for _ in range(10):
            silent.extend(request_stacks(asked, timeout=20.0))

    in_threads(*[ask_often] * 4)
    assert silent == []


def test_other_files_are_not_written_to(open_shop: Shop, tmp_path: Path) -> None:
    """Only a file with the header of a ring buffer is written to; other files stay as they are."""
    (process,) = processes(open_shop.folder)
    other = tmp_path / "precious"
    other.write_bytes(b"x" * HEADER_SIZE)
    missing = tmp_path / "missing"
    link = tmp_path / "link"
    link.symlink_to(process.rings[0])
    asked = process._replace(condition="alive", rings=(other, missing, link))
    assert request_stacks([asked]) == [asked]
    assert other.read_bytes() == b"x" * HEADER_SIZE


def test_a_dead_process_is_not_asked(dead_shop: Shop) -> None:
    """The ring buffer of a dead process stays unchanged, since recovery reads it."""
    (dead,) = processes(dead_shop.folder)
    before = dead.rings[0].read_bytes()
    assert request_stacks([dead]) == []
    assert dead.rings[0].read_bytes() == before
