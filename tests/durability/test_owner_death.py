"""The death of a process, a thread, a task, or a span is noticed in time by a whole program."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.durability.kit import (
    assert_ended_once,
    command,
    printed_object,
    read,
    read_line,
    running,
    tree_env,
    write_line,
)
from tests.figures import report_figures
from tests.merging import merge
from tests.programs import wait_until

if TYPE_CHECKING:
    from pathlib import Path

WATCHES = """
    tracer.start_span("watcher's").end()
    print("ready", flush=True)
    sys.stdin.readline()
"""
DIES = """
    kept = [tracer.start_span(f"open {n}") for n in range(5)]
    print(os.getpid(), flush=True)
    sys.stdin.readline()
"""


def ends_of_the_dead(folder: Path) -> list[tuple[str, int, int]]:
    """Return name, start and end of each span that was ended for a dead process."""
    return [
        (end.name, end.start_ns or 0, end.time_ns)
        for end in read(folder).phase("end")
        if end.abandoned == "process-died"
    ]


def test_the_death_of_a_process_is_seen_by_another(tmp_path: Path) -> None:
    """Another process that writes to the same folder ends the spans that the dead one left open."""
    took: list[float] = []
    with running(command(WATCHES, tmp_path)) as watcher:
        assert read_line(watcher) == "ready"
        for number in range(5):
            with running(command(DIES, tmp_path)) as process:
                pid = int(read_line(process))
                time.sleep(0.1 * number)
                os.kill(pid, signal.SIGKILL)
                died_ns, began = time.time_ns(), time.monotonic()
                process.wait()
                wanted = 5 * (number + 1)
                wait_until(lambda n=wanted: len(ends_of_the_dead(tmp_path)) == n, "the ends")  # type: ignore[misc]
                took.append(time.monotonic() - began)
            assert all(start <= end <= died_ns for _, start, end in ends_of_the_dead(tmp_path))
        wait_until(lambda: not list(tmp_path.glob(".blackbox/*.lock")), "the last lock goes")
    report_figures("death of a process", seen=", ".join(f"{one:.2f} s" for one in took))


def test_the_death_of_several_is_seen_by_the_survivors(tmp_path: Path) -> None:
    """Three of five processes die at once: the two others end all their spans, once."""
    argv = command(DIES, tmp_path)
    with ExitStack() as stack:
        five = [stack.enter_context(running(argv)) for _ in range(5)]
        by_pid = sorted(five, key=lambda one: int(read_line(one)))
        for process in by_pid[1:4]:
            process.kill()
        began = time.monotonic()
        for process in by_pid[1:4]:
            process.wait()
        wait_until(lambda: len(ends_of_the_dead(tmp_path)) == 15, "the ends of three")
        report_figures("death of three of five", seen=f"{time.monotonic() - began:.2f} s")
        time.sleep(1.2)
        assert len(ends_of_the_dead(tmp_path)) == 15
        for process in (by_pid[0], by_pid[4]):
            write_line(process)
            assert process.wait(20) == 0
    found = read(tmp_path)
    assert_ended_once(found)
    assert not list(tmp_path.glob(".blackbox"))


def test_a_stopped_process_is_not_dead(tmp_path: Path) -> None:
    """No other process ends the spans of one that is stopped for longer than any deadline."""
    with (
        running(command(WATCHES, tmp_path)) as watcher,
        running(command(DIES, tmp_path)) as process,
    ):
        assert read_line(watcher) == "ready"
        os.kill(int(read_line(process)), signal.SIGSTOP)
        time.sleep(2.5)
        assert ends_of_the_dead(tmp_path) == []
        process.send_signal(signal.SIGCONT)
        write_line(process)
        assert process.wait(20) == 0
    assert {end.abandoned for end in read(tmp_path).phase("end", "open 0")} == {"shutdown"}


INSIDE = """
    import asyncio, gc, json
    owner_ended = {}
    def on_thread():
        kept.append(tracer.start_span("thread's"))
        owner_ended["thread's"] = time.time_ns()
    async def in_task():
        kept.append(tracer.start_span("task's"))
        owner_ended["task's"] = time.time_ns()
    def noticed():
        causes = ("owner-died", "garbage-collected")
        return [COUNTERS.value(f"abandoned.{cause}") for cause in causes] == [2, 1]
    async def tasks():
        task = asyncio.get_running_loop().create_task(in_task())
        await task
        del task
        until = time.monotonic() + 40
        while not noticed() and time.monotonic() < until:
            await asyncio.sleep(0.01)
    from otel_ext.runtime.counters import COUNTERS
    kept = []
    thread = threading.Thread(target=on_thread); thread.start(); thread.join()
    tracer.start_span("collected")
    owner_ended["collected"] = time.time_ns()
    asyncio.run(tasks())
    handle.flush()
    print(json.dumps(owner_ended))
    sys.stdout.flush()
    handle.shutdown()
    late = [span for span in kept if span.name == "task's"]
"""


def seen_after(folder: Path, grace: str) -> dict[str, float]:
    """Return the seconds from each death until it was noticed, in one run of a program."""
    env = tree_env(OTEL_EXT_OWNER_GRACE=grace)
    events = printed_object(command(INSIDE, folder), env=env)
    found = read(folder)
    assert_ended_once(found)
    late: dict[str, float] = {}
    for name, event_ns in events.items():
        [end] = found.phase("end", name)
        cause = "garbage-collected" if name == "collected" else "owner-died"
        assert end.abandoned == cause
        assert isinstance(event_ns, int)
        late[name] = (end.time_ns - event_ns) / 1e9
    return late


@pytest.mark.timeout(120)
@pytest.mark.parametrize("grace", ["0", "500ms"])
def test_a_dead_thread_a_dead_task_and_a_collected_span(tmp_path: Path, grace: str) -> None:
    """The ends have the time at which each death was noticed, and are written after the grace.

    A task's death and a collected span should be noticed within 100 ms, a thread's within a
    second; the figures show it.
    """
    late = seen_after(tmp_path, grace)
    shown = {name: f"{seconds * 1000:.0f} ms" for name, seconds in late.items()}
    report_figures(f"seen, grace {grace}", **shown)
    assert late.keys() == {"task's", "collected", "thread's"}
    assert max(late.values()) < 30


def test_a_late_real_end_wins(tmp_path: Path) -> None:
    """A span that another thread ends after its own died has two ends; merging keeps the real."""
    text = """
    kept = []
    thread = threading.Thread(target=lambda: kept.append(tracer.start_span("handed on")))
    thread.start(); thread.join()
    from otel_ext.runtime.counters import COUNTERS
    until = time.monotonic() + 40
    while not COUNTERS.value("abandoned.owner-died") and time.monotonic() < until:
        time.sleep(0.01)
    kept[0].end()
    """
    done = subprocess.run(command(text, tmp_path), env=tree_env(), timeout=50, check=False)
    assert done.returncode == 0
    found = read(tmp_path)
    assert {end.abandoned for end in found.phase("end")} == {"owner-died", None}
    [merged] = merge(record for record in found.records if record.kind == "span").values()
    assert merged.abandoned is None


def test_a_dead_process_is_found_among_many_files(tmp_path: Path) -> None:
    """A new process ends its spans, though the folder has 120 files of ended processes."""
    with running(command(DIES, tmp_path), OTEL_EXT_DURABILITY="queued") as process:
        pid = int(read_line(process))
        wait_until(lambda: len(read(tmp_path).phase("start")) == 5, "the records")
        os.kill(pid, signal.SIGKILL)
        process.wait()
    [left] = tmp_path.glob("*.jsonl")
    boot = left.name.partition("-")[0]
    subprocess.run(
        command("tracer.start_span('closed').end()", tmp_path / "x"), env=tree_env(), check=True
    )
    [closed] = (tmp_path / "x").glob("*.jsonl")
    text = closed.read_bytes()
    for number in range(120):
        name = f"{boot}-{number + 2_000_000}-1-{number:08x}"
        (tmp_path / f"{name}.jsonl").write_bytes(text.replace(closed.stem.encode(), name.encode()))
    with running(command(WATCHES, tmp_path)) as watcher:
        assert read_line(watcher) == "ready"
        wait_until(lambda: len(ends_of_the_dead(tmp_path)) == 5, "the ends")
