"""Without a ring buffer records go through the queue, which is reported once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from otel_ext.journal.filesystem import file_system_of
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.journal.write.journal import Journal
from tests.journal.builders import ALONE, line, run, seqs_in
from tests.users import let_others_enter

AS_ANOTHER_USER = """
    import json, os, sys
    from pathlib import Path
    from otel_ext.journal.write.journal import Journal
    from otel_ext.runtime.health import health
    from tests.journal.builders import ALONE, line
    folder = Path(sys.argv[1])
    if os.geteuid() == 0:
        os.seteuid(65534)
    journal = Journal(folder, ALONE)
    taken = [journal.append(line(number)) for number in range(5)]
    flushed = journal.flush(300)
    state = journal.state()
    part = health().part("journal")
    print(json.dumps([all(taken), flushed, state.mode, state.reason, state.problem, part.state]))
"""


def test_a_planted_link_as_ring_buffer_folder_is_not_followed(tmp_path: Path) -> None:
    """A link named .blackbox gets no ring buffer; records go through the queue, with the reason."""
    victim = tmp_path / "victim"
    victim.mkdir(0o755)
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / RING_FOLDER).symlink_to(victim)
    journal = Journal(folder, ALONE)
    assert journal.append(line(1))
    state = journal.state()
    assert state.mode == "queued"
    assert RING_FOLDER in state.reason
    assert "link" in state.reason
    assert journal.close()
    assert list(victim.iterdir()) == []
    assert victim.stat().st_mode & 0o777 == 0o755
    assert seqs_in(folder) == [1]


def test_an_open_ring_buffer_folder_is_made_private(tmp_path: Path) -> None:
    """A .blackbox that other users could search becomes private."""
    (tmp_path / RING_FOLDER).mkdir(0o755)
    journal = Journal(tmp_path, ALONE)
    journal.append(line(1))
    assert (tmp_path / RING_FOLDER).stat().st_mode & 0o777 == 0o700
    assert journal.state().mode == "mapped"
    journal.close()


def test_a_ring_buffer_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    """The owner of the folder could swap the ring buffer, so none is created there."""
    if os.geteuid() != 0:
        pytest.skip("needs root to give a folder away")
    folder = tmp_path / RING_FOLDER
    folder.mkdir(0o700)
    os.chown(folder, 65534, 65534)
    journal = Journal(tmp_path, ALONE)
    journal.append(line(1))
    assert journal.state().mode == "queued"
    assert "another user" in journal.state().reason
    journal.close()


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    """With a read-only folder lines wait, bounded; the state has folder and reason."""
    let_others_enter(tmp_path)
    folder = tmp_path / "readonly"
    folder.mkdir()
    folder.chmod(0o555)
    try:
        taken, flushed, mode, reason, problem, health = json.loads(run(AS_ANOTHER_USER, folder))
    finally:
        folder.chmod(0o755)
    assert (taken, flushed, mode, health) == (True, False, "queued", "failed")
    assert RING_FOLDER in reason
    assert "Permission denied" in problem


def test_a_folder_that_becomes_writable_gets_the_lines(tmp_path: Path) -> None:
    """What waited is written as soon as the folder can be used."""
    path = tmp_path / "traces"
    path.write_text("in the way")
    journal = Journal(path / "sub", ALONE)
    assert journal.append(line(1))
    assert not journal.flush(200)
    assert (
        "is not a folder" in journal.state().problem or "Not a directory" in journal.state().problem
    )
    path.unlink()
    assert journal.flush(5_000)
    assert seqs_in(path / "sub") == [1]
    journal.close()


@pytest.mark.parametrize(
    ("folder", "can_map"),
    [("/proc", False), ("/sys", False), ("/dev/shm", True)],  # noqa: S108 - only checked, not used
)
def test_the_file_system_decides(folder: str, can_map: bool) -> None:
    """Only file systems that keep reserved blocks may hold a ring buffer."""
    found = file_system_of(Path(folder))
    assert found.can_map is can_map
    assert bool(found.refusal) is not can_map
    assert found.kind in {"proc", "sysfs", "tmpfs"}


def test_an_unknown_file_system_is_not_trusted(tmp_path: Path) -> None:
    """A file system that cannot be looked up is refused with a reason."""
    assert not file_system_of(tmp_path / "missing").can_map


def test_a_limit_on_file_size_leads_to_the_queue(tmp_path: Path) -> None:
    """With RLIMIT_FSIZE below the ring buffer's size the program continues with the queue."""
    text = """
        import resource, sys
        from pathlib import Path
        from otel_ext.journal.write.journal import Journal
        from tests.journal.builders import ALONE, line
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        journal = Journal(Path(sys.argv[1]), ALONE)
        for number in range(2000):
            assert journal.append(line(number))
            if number % 100 == 0:
                journal.flush(100)
        print(journal.state().mode, journal.close())
    """
    assert run(text, tmp_path).split() == ["queued", "True"]
    assert sorted(seqs_in(tmp_path)) == list(range(2000))
    assert all(path.stat().st_size <= 100_000 for path in tmp_path.glob("*.jsonl"))
