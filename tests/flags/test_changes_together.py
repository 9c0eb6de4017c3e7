"""Programs and threads that change one flag file at the same time lose nothing."""

from __future__ import annotations

import fcntl
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import ConfigError
from otel_ext.flags import locking
from otel_ext.flags.editing import list_rollouts, set_stage
from otel_ext.flags.locking import change_lock
from tests.flags.files import staged, write_flags
from tests.programs import python, started, wait_until

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = 8


def change(path: Path, number: int) -> bool:
    """Put a flag of its own to stage 1; return whether that says that it is done."""
    try:
        set_stage(path, f"f{number}", 1, create=True)
    except ConfigError:
        return False
    return True


def at_stage_1(path: Path) -> int:
    """Return how many flags are at stage 1."""
    return sum(one.rollout is not None and one.rollout.stage == 1 for one in list_rollouts(path))


@pytest.mark.forks
@pytest.mark.parametrize("exists", [True, False])
def test_processes(exists: bool, tmp_path: Path) -> None:
    """Of which each changes another flag, also if the file is not there yet."""
    for round_number in range(5):
        path = tmp_path / f"flags{round_number}.json"
        if exists:
            write_flags(path, {f"f{number}": staged(0) for number in range(NUMBER)})
        children: list[int] = []
        for number in range(NUMBER):
            child = os.fork()
            if child == 0:
                os._exit(0 if change(path, number) else 1)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [0] * NUMBER
        assert at_stage_1(path) == NUMBER


def test_threads_and_links(tmp_path: Path) -> None:
    """The lock is that of the file which a link leads to."""
    path = tmp_path / "real" / "flags.json"
    path.parent.mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(path)
    with ThreadPoolExecutor(NUMBER) as pool:
        done = list(pool.map(change, [path, link] * (NUMBER // 2), range(NUMBER)))
    assert done == [True] * NUMBER
    assert at_stage_1(path) == NUMBER
    assert [one.name for one in path.parent.iterdir()] == ["flags.json"]


def test_a_holder_that_is_killed(tmp_path: Path) -> None:
    """The kernel releases its lock; one that lives is waited for, not without end."""
    path = tmp_path / "flags.json"
    code = (
        "import sys, time, pathlib\n"
        "from otel_ext.flags.locking import change_lock\n"
        "with change_lock(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)"
    )
    with (
        started(python("-c", code, path), cwd=tmp_path) as holder,
        pytest.MonkeyPatch.context() as patch,
    ):
        wait_until(lambda: (tmp_path / "output.txt").read_text() == "held\n", "it is held")
        patch.setattr(locking, "_WAIT", 0.05)
        with pytest.raises(ConfigError, match="is being changed by another program. Run the"):
            set_stage(path, "search", 1, create=True)
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
    assert set_stage(path, "search", 1, create=True).after.stage == 1


@pytest.mark.forks
def test_a_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """One forked by another thread meanwhile has the folder open, too."""
    path = tmp_path / "flags.json"
    ready, go = os.pipe()
    with change_lock(path):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)
            os._exit(0)
    try:
        assert set_stage(path, "search", 1, create=True).after.stage == 1
    finally:
        os.close(go)
        os.waitpid(child, 0)
        os.close(ready)


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change is made without one."""

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert set_stage(tmp_path / "flags.json", "search", 1, create=True).after.stage == 1
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        set_stage(tmp_path / "missing" / "flags.json", "search", 1, create=True)
