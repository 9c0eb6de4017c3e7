"""The newest checkpoint is found: in ring buffers and files, of living and dead processes."""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING, Final

import pytest

from otel_ext.context import checkpoint, last_checkpoint, with_span
from otel_ext.errors import JournalError
from otel_ext.journal.recovery.recover import recover
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process, Record
from otel_ext.runtime.process import incarnation
from otel_ext.runtime.process.records import process_end_record, process_start_record
from tests.checkpoints.attempts import Attempt
from tests.checkpoints.recorded import recording
from tests.programs import spans_in

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "import"


def line(process: str, seq: int, time_ns: int, **attributes: object) -> bytes:
    """Return the record of a checkpoint; `deleted=True` for one that is done."""
    entity: dict[str, object] = {"type": "checkpoint", "id": NAME}
    if attributes.pop("deleted", False):
        entity["deleted"] = True
    extra = {"entity": entity}
    record = Record(
        "event",
        None,
        "checkpoint",
        time_ns * 1_000,
        seq,
        Process(process),
        attributes=attributes,
        extra=extra,
    )
    return encode_line(record)


def state_in(folder: Path) -> object:
    """Return the state of the newest checkpoint; `nothing` without one."""
    found = last_checkpoint(NAME, folder=folder)
    return "nothing" if found is None else found.state


def test_a_killed_process_leaves_its_last_state(tmp_path: Path) -> None:
    """It is found while the process runs, after `kill -9`, and after recovery."""
    with Attempt(tmp_path, "wait") as attempt:
        assert attempt.line() == "attempt 1 from None"
        assert attempt.line() == "stored"
        found = last_checkpoint(NAME, folder=tmp_path)
        assert found is not None
        assert (found.state, found.attempt, found.alive) == ({"done": 1}, 1, True)
        attempt.kill()
    dead = last_checkpoint(NAME, folder=tmp_path)
    assert dead is not None
    assert dead == found._replace(alive=False)
    recover(tmp_path)
    assert last_checkpoint(NAME, folder=tmp_path) == dead
    (start, end) = spans_in(tmp_path, NAME)
    assert (start.trace_id, start.span_id) == (dead.trace_id, dead.span_id)
    assert end.abandoned == "process-died"


def test_all_segments_of_a_dead_process_count(tmp_path: Path) -> None:
    """The first of several files may have the checkpoint, also with later files gone."""
    with Attempt(tmp_path, "rotate") as attempt:
        attempt.process.wait(30)
    recover(tmp_path)
    files = sorted(tmp_path.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    assert len(files) > 2
    assert state_in(tmp_path) == {"done": 1}
    # Each new file repeats it, since the process lived then; so the newest alone has it too.
    for path in files[:-1]:
        path.unlink()
    assert state_in(tmp_path) == {"done": 1}


def test_a_damaged_record_leaves_the_one_before(tmp_path: Path) -> None:
    """Damage in the file costs the damaged checkpoint only."""
    with recording(tmp_path):
        for number in range(3):
            checkpoint({"done": number}, name=NAME)
    (path,) = tmp_path.glob("*.jsonl")
    data = path.read_bytes()
    assert state_in(tmp_path) == {"done": 2}
    at = data.index(b'"done":2')
    for damage in (b"\0" * 8, b"\xff" * 8, b"}}}}}}}}", b"\n\n\n\n\n\n\n\n"):
        path.write_bytes(data[:at] + damage + data[at + 8 :])
        assert state_in(tmp_path) == {"done": 1}, damage
    path.write_bytes(data[: at + 4])  # torn by a full disk
    assert state_in(tmp_path) == {"done": 1}
    path.write_bytes(data[: data.index(b'"done":0')])
    assert state_in(tmp_path) == "nothing"


def test_the_highest_attempt_counts_then_the_latest(tmp_path: Path) -> None:
    """The clock may have been set back between two attempts."""
    first, second = (f"0123abcd-{pid}-5-00000000" for pid in (7, 8))
    (tmp_path / f"{first}.jsonl").write_bytes(
        line(first, 5, 9_000, state="a", attempt=1, run=1)
        + line(first, 4, 9_999, state="older", attempt=1, run=1)
    )
    assert state_in(tmp_path) == "a"
    other = tmp_path / f"{second}.jsonl"
    other.write_bytes(line(second, 1, 5_000, state="b", attempt=2, run=1))
    assert state_in(tmp_path) == "b"
    other.write_bytes(line(second, 1, 9_500, state="c", attempt=1, run=1))
    assert state_in(tmp_path) == "c"
    other.write_bytes(line(second, 1, 5_000, attempt=2, run=1, deleted=True))
    assert state_in(tmp_path) == "nothing"
    other.write_bytes(line(second, 1, 5_000, state="d", attempt=True, run="x"))
    assert state_in(tmp_path) == "a"
    other.write_bytes(line(second, 1, 9_999, state="d", attempt=-3, run=1))
    assert state_in(tmp_path) == "d"


def test_only_checkpoints_of_the_name_count(tmp_path: Path) -> None:
    """Other names, other entities and texts that look like it are no checkpoints."""
    with recording(tmp_path):
        checkpoint("mine", name=NAME)
        checkpoint("other", name="import 2")
        checkpoint('"entity":{"type":"checkpoint","id":"import"}', name="x")
        with with_span("import", type="checkpoint"):
            pass
        assert state_in(tmp_path) == "mine"
    assert last_checkpoint("impor", folder=tmp_path) is None


def test_a_process_elsewhere_counts_as_alive_until_it_is_silent(tmp_path: Path) -> None:
    """One that cannot be checked is judged by its heartbeats, its files and its end."""
    name = "0123abcd-7-5-00000000"
    process = Process(name, 7, 5, "0123abcd", "elsewhere", heartbeat_ms=5_000)
    path = tmp_path / f"{name}.jsonl"
    begin = encode_line(process_start_record(process, 1)) + line(name, 2, 1, state=1, attempt=1)
    path.write_bytes(begin)

    def is_alive() -> bool:
        found = last_checkpoint(NAME, folder=tmp_path)
        assert found is not None
        return found.alive

    assert is_alive()
    os.utime(path, (time(), time() - 10))
    assert is_alive()
    os.utime(path, (time(), time() - 20))
    assert not is_alive()
    path.write_bytes(begin + encode_line(process_end_record(process, 3)))
    assert not is_alive()
    path.write_bytes(begin.split(b"\n", 1)[1])
    assert is_alive()
    # A record of this boot with a pid that was never given out.
    boot = incarnation.boot_id().replace("-", "")[:8]
    mine = f"{boot}-{2**22 + 1}-5-00000000"
    path.write_bytes(line(mine, 1, 1, state=1, attempt=1))
    os.utime(path, (time(), time() - 700))
    assert not is_alive()


def test_a_program_that_was_replaced_is_dead(tmp_path: Path) -> None:
    """After `execve` the process lives on, but not the program that stored it."""
    own = incarnation.current()
    before = f"{own.id[:-8]}{'0' * 8}"
    (tmp_path / f"{before}.jsonl").write_bytes(line(before, 1, 1, state=1, attempt=1))
    found = last_checkpoint(NAME, folder=tmp_path)
    assert found is not None
    assert (found.process, found.alive) == (before, False)


def test_where_there_is_nothing_to_read(tmp_path: Path) -> None:
    """A folder that does not exist has no checkpoints; one that cannot be read is an error."""
    assert last_checkpoint(NAME, folder=tmp_path / "none") is None
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(JournalError, match="cannot be read"):
        last_checkpoint(NAME, folder=tmp_path)
    file = tmp_path / "file"
    file.touch()
    assert last_checkpoint(NAME, folder=file) is None
    assert last_checkpoint(NAME, folder=tmp_path / "none.jsonl") is None


def test_a_ring_buffer_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """It may have a newer checkpoint than the files."""
    with recording(tmp_path):
        checkpoint(1, name=NAME)
    ring = tmp_path / ".blackbox" / "0123abcd-7-5-00000000.ring"
    ring.parent.mkdir(exist_ok=True)
    ring.symlink_to(tmp_path)
    with pytest.raises(JournalError, match=r"\.ring cannot be read"):
        last_checkpoint(NAME, folder=tmp_path)
    ring.unlink()
    ring.write_bytes(b"\xff" * 10_000)
    assert state_in(tmp_path) == 1


def test_a_single_file_may_have_the_records(tmp_path: Path) -> None:
    """Several processes may write to one file."""
    path = tmp_path / "trace.json"
    with recording(path):
        checkpoint(1, name=NAME)
        found = last_checkpoint(NAME)
        assert found is not None
        assert found.alive
    found = last_checkpoint(NAME, folder=path)
    assert found is not None
    assert found.state == 1
