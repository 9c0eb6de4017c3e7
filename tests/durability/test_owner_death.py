"""The death of a process, a thread, a task, or a span: seen in time, by the assembled product."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from otel_ext.record.merge import merge
from tests.durability.kit import (
    assert_ended_once,
    beside,
    command,
    line_of,
    plain,
    read,
    tell,
    told,
)
from tests.figures import report_figures
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
    """Another process that writes to the same folder ends what the dead one left open."""
    took: list[float] = []
    with beside(command(WATCHES, tmp_path)) as watcher:
        assert line_of(watcher) == "ready"
        for number in range(5):
            with beside(command(DIES, tmp_path)) as process:
                pid = int(line_of(process))
                time.sleep(0.1 * number)
                os.kill(pid, signal.SIGKILL)
                died_ns, began = time.time_ns(), time.monotonic()
                process.wait()
                wanted = 5 * (number + 1)
                wait_until(lambda n=wanted: len(ends_of_the_dead(tmp_path)) == n, "the ends", 10)  # type: ignore[misc]
                took.append(time.monotonic() - began)
            assert all(start <= end <= died_ns for _, start, end in ends_of_the_dead(tmp_path))
        wait_until(lambda: not list(tmp_path.glob(".blackbox/*.lock")), "the last lock goes")
    report_figures("death of a process", seen=", ".join(f"{one:.2f} s" for one in took))
    # The best of five: on a machine that has other work some take longer.
    assert min(took) <= 1.0


def test_the_death_of_several_is_seen_by_those_that_are_left(tmp_path: Path) -> None:
    """Of five processes any three may die at once: the two others end all their spans, once."""
    words = command(DIES, tmp_path)
    with ExitStack() as stack:
        five = [stack.enter_context(beside(words)) for _ in range(5)]
        everybody = sorted(five, key=lambda one: int(line_of(one)))
        for process in everybody[1:4]:
            process.kill()
        began = time.monotonic()
        for process in everybody[1:4]:
            process.wait()
        wait_until(lambda: len(ends_of_the_dead(tmp_path)) == 15, "the ends of three", 15)
        report_figures("death of three of five", seen=f"{time.monotonic() - began:.2f} s")
        time.sleep(1.2)
        assert len(ends_of_the_dead(tmp_path)) == 15
        for process in (everybody[0], everybody[4]):
            tell(process)
            assert process.wait(20) == 0
    found = read(tmp_path)
    assert_ended_once(found)
    assert not list(tmp_path.glob(".blackbox"))


def test_a_stopped_process_is_not_dead(tmp_path: Path) -> None:
    """A process that is stopped for longer than any deadline is given up by nobody."""
    with beside(command(WATCHES, tmp_path)) as watcher, beside(command(DIES, tmp_path)) as process:
        assert line_of(watcher) == "ready"
        os.kill(int(line_of(process)), signal.SIGSTOP)
        time.sleep(2.5)
        assert ends_of_the_dead(tmp_path) == []
        process.send_signal(signal.SIGCONT)
        tell(process)
        assert process.wait(20) == 0
    assert {end.abandoned for end in read(tmp_path).phase("end", "open 0")} == {"shutdown"}


INSIDE = """
    import asyncio, gc, json
    told = {}
    def on_thread():
        kept.append(tracer.start_span("thread's"))
        told["thread's"] = time.time_ns()
    async def in_task():
        kept.append(tracer.start_span("task's"))
        told["task's"] = time.time_ns()
    async def tasks():
        task = asyncio.get_running_loop().create_task(in_task())
        await task
        del task
        await asyncio.sleep(GRACE + 1.0)
    GRACE = float(os.environ.get("OTEL_EXT_OWNER_GRACE", "0.5"))
    kept = []
    thread = threading.Thread(target=on_thread); thread.start(); thread.join()
    tracer.start_span("collected")
    told["collected"] = time.time_ns()
    asyncio.run(tasks())
    handle.flush()
    print(json.dumps(told))
    sys.stdout.flush()
    handle.shutdown()
    late = [span for span in kept if span.name == "task's"]
"""


TRIES = 5
# In seconds: by when the death of the owner must be seen.
PROMISED = {"task's": 0.1, "collected": 0.1, "thread's": 1.0}


def seen_after(folder: Path, grace: str) -> dict[str, float]:
    """Return how long after its event each death was seen, in one run of a program."""
    env = plain(OTEL_EXT_OWNER_GRACE=grace)
    text = INSIDE.replace('float(os.environ.get("OTEL_EXT_OWNER_GRACE", "0.5"))', "0.5")
    events = told(command(text, folder), env=env)
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
    """A task's and a collected span are seen within 100 ms, a thread's within a second.

    Dated to when it was seen, and said after the grace. Where the machine has other work
    it is tried again; each promise must be kept in one of the tries.
    """
    best: dict[str, float] = {}
    tries = 0
    while tries < TRIES and (not best or any(best[name] > PROMISED[name] for name in best)):
        late = seen_after(tmp_path / str(tries), grace)
        best = {name: min(seconds, best.get(name, seconds)) for name, seconds in late.items()}
        tries += 1
    shown = {name: f"{seconds * 1000:.0f} ms" for name, seconds in best.items()}
    report_figures(f"seen, grace {grace}", tries=tries, **shown)
    assert best.keys() == PROMISED.keys()
    assert {name: s for name, s in best.items() if s > PROMISED[name]} == {}


def test_a_late_real_end_wins(tmp_path: Path) -> None:
    """A span whose thread died and that somebody ends after all has both ends; merged: the real."""
    text = """
    kept = []
    thread = threading.Thread(target=lambda: kept.append(tracer.start_span("handed on")))
    thread.start(); thread.join()
    time.sleep(0.8)
    kept[0].end()
    """
    done = subprocess.run(command(text, tmp_path), env=plain(), timeout=50, check=False)
    assert done.returncode == 0
    found = read(tmp_path)
    assert {end.abandoned for end in found.phase("end")} == {"owner-died", None}
    [merged] = merge(record for record in found.records if record.kind == "span").values()
    assert merged.abandoned is None


def test_a_folder_with_many_old_files_is_looked_through_a_little_at_a_time(tmp_path: Path) -> None:
    """Many files of ended processes cost a start nothing; a dead one among them is found."""
    with beside(command(DIES, tmp_path), OTEL_EXT_DURABILITY="queued") as process:
        pid = int(line_of(process))
        wait_until(lambda: len(read(tmp_path).phase("start")) == 5, "the records")
        os.kill(pid, signal.SIGKILL)
        process.wait()
    [left] = tmp_path.glob("*.jsonl")
    boot = left.name.partition("-")[0]
    subprocess.run(
        command("tracer.start_span('closed').end()", tmp_path / "x"), env=plain(), check=True
    )
    [closed] = (tmp_path / "x").glob("*.jsonl")
    text = closed.read_bytes()
    for number in range(120):
        name = f"{boot}-{number + 2_000_000}-1-{number:08x}"
        (tmp_path / f"{name}.jsonl").write_bytes(text.replace(closed.stem.encode(), name.encode()))
    with beside(command(WATCHES, tmp_path)) as watcher:
        assert line_of(watcher) == "ready"
        wait_until(lambda: len(ends_of_the_dead(tmp_path)) == 5, "the ends", 10)
