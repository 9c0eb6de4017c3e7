"""A program: forks a recording process again and again beside busy threads, checks the records.

    python fork_storm.py [FORKS]

The parent records by `otel_ext.configure()` on several threads. Each child ends a
span that it inherited, leaves one open and one to the garbage collector, and then
exits, exits hard, or is killed. At the end each child must have a file of its own
and each span one end, and only the parent may have ended its spans. Prints the sums
as JSON; the tests run it with a few forks, 10,000 is the long form.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from opentelemetry import trace

import otel_ext
from tests.durability.kit import assert_ended_once, read, recover_all
from tests.programs import becomes_true

if TYPE_CHECKING:
    from opentelemetry.trace import Span

DEFAULT_FORKS = 10_000
HUNG_AFTER = 20.0
WAYS = ("exits", "exits hard", "is killed")


def child(number: int, inherited: Span) -> NoReturn:
    """Use spans in a child, also an inherited one, and end in the way that `number` selects."""
    faulthandler.dump_traceback_later(HUNG_AFTER)
    tracer = trace.get_tracer("child")
    with tracer.start_as_current_span("child"):
        inherited.end()
        tracer.start_span("collected")
    kept = tracer.start_span("kept")
    if WAYS[number % 3] == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if WAYS[number % 3] == "exits hard":
        os._exit(0)
    del kept
    sys.exit(0)


def outcome(pid: int) -> str:
    """Wait for a child up to a deadline; return how it ended."""
    deadline = time.monotonic() + HUNG_AFTER + 5
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return {0: "ended", -9: "killed"}.get(code, f"failed with {code}")
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"


def storm(forks: int) -> tuple[Counter[str], list[int]]:
    """Fork `forks` times beside busy threads; return how the children ended, and their pids."""
    tracer = trace.get_tracer("parent")
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            with tracer.start_as_current_span("busy"):
                tracer.start_span("inner").end()
            stop.wait(0.01)

    threads = [threading.Thread(target=load, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    outcomes: Counter[str] = Counter()
    pids: list[int] = []
    for number in range(forks):
        inherited = tracer.start_span("inherited")
        pid = os.fork()
        if pid == 0:
            child(number, inherited)
        pids.append(pid)
        outcomes[outcome(pid)] += 1
        inherited.end()
        if number % 500 == 499:
            sys.stderr.write(f"forked {number + 1} of {forks}: {dict(outcomes)}\n")
    stop.set()
    for thread in threads:
        thread.join(10)
    return outcomes, pids


def judge(folder: Path, pids: list[int]) -> list[str]:
    """Return what is wrong with the records of the parent and its children."""
    forks = len(pids)
    recover_all(folder)  # the thread of this process may just be recovering the last children
    found = read(folder)
    wrong: list[str] = []
    try:
        assert_ended_once(found)
    except AssertionError as error:
        wrong.append(f"a span without one end: {str(error)[:300]}")
    inherited = found.phase("end", "inherited")
    parents = {end.process.id for end in inherited}
    children = {start.process.id for start in found.phase("start", "child")}
    if len(inherited) != forks or len(parents) != 1 or any(end.abandoned for end in inherited):
        causes = Counter((end.process.id, end.abandoned) for end in inherited)
        wrong.append(f"a span of the parent was ended by others: {causes.most_common(5)}")
    if len(children) != forks or parents & children:
        recorded = {name.split("-")[1] for name in children}
        lost = [
            (WAYS[number % 3], [path.name for path in folder.glob(f"*-{pid}-*")])
            for number, pid in enumerate(pids)
            if str(pid) not in recorded
        ]
        wrong.append(f"{len(children)} children have recorded; not those with these files: {lost}")
    if len(found.phase("end", "kept")) != forks or len(found.phase("end", "collected")) != forks:
        wrong.append("a span that a child left open has no end")
    # That thread makes a lock for a moment, also for children that are recovered already.
    if found.skipped or not becomes_true(lambda: not list(folder.glob(".blackbox/*")), 5.0):
        wrong.append(f"left behind or damaged: {found.skipped}")
    return wrong


def main(forks: int) -> int:
    """Fork, check the records, and print the sums; return 1 if anything is wrong."""
    warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, since 3.12
    folder = Path(tempfile.mkdtemp(prefix="fork-storm-"))
    parent = os.getpid()
    try:
        handle = otel_ext.configure(
            output=folder, console="off", ring_size=4 << 20, retention_size=0
        )
        outcomes, pids = storm(forks)
        handle.shutdown()
        wrong = judge(folder, pids)
    finally:
        if os.getpid() == parent:
            shutil.rmtree(folder, ignore_errors=True)
    killed = forks // 3
    if outcomes != Counter({"ended": forks - killed, "killed": killed}):
        wrong.append("children ended in other ways than expected")
    sys.stdout.write(json.dumps({"forks": forks, **outcomes, "wrong": wrong}) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FORKS))
