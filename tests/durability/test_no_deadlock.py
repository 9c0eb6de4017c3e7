"""Spans in places where locks may be held: the whole program does not hang and loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.journal.recovery.locking import incarnation_lock
from tests.chaos.fork_storm import judge
from tests.durability.kit import (
    ROOT,
    command,
    printed_object,
    read,
    read_line,
    running,
    tree_env,
)
from tests.figures import report_figures

if TYPE_CHECKING:
    from pathlib import Path

EVERYWHERE = """
    import faulthandler, gc, json, logging
    from itertools import count
    from otel_ext.inflight.table import open_spans
    from otel_ext.runtime.counters import COUNTERS
    faulthandler.dump_traceback_later(40, exit=True)
    gc.set_threshold(50, 2, 2)
    signals, finalizers, logs, used = count(), count(), count(), count()
    def use(name):
        next(used)
        with tracer.start_as_current_span(name, attributes={"n": 1}):
            pass
    class Finalized:
        def __init__(self):
            self.me = self
            next(used)
            self.span = tracer.start_span("ended in a finalizer")
        def __del__(self):
            next(finalizers)
            use("in a finalizer")
            self.span.end()
    class Handler(logging.Handler):
        def emit(self, record):
            next(logs)
            use("in a log handler")
            if record.levelno == logging.WARNING:
                logging.getLogger("inner").info("a handler that logs")
    def on_signal(*_):
        next(signals)
        use("in a signal handler")
        open_spans()
        otel_ext.health()
        if next(forks) % 200 == 0:
            handle.flush(0.2)
    forks = count()
    otel_ext.health()  # imported now: Python 3.10 fails to in a signal handler amid an import
    logging.getLogger().addHandler(Handler())
    logging.getLogger().setLevel(logging.INFO)
    signal.signal(signal.SIGALRM, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    end = time.monotonic() + float(sys.argv[2])
    def busy():
        while time.monotonic() < end:
            use("busy")
            Finalized()
            logging.getLogger("app").warning("something")
    threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    busy()
    for thread in threads:
        thread.join(20)
    signal.setitimer(signal.ITIMER_REAL, 0)
    gc.collect()
    hung = any(thread.is_alive() for thread in threads)
    handle.shutdown()
    print(json.dumps({
        "hung": hung, "used": next(used), "signals": next(signals),
        "finalizers": next(finalizers), "logs": next(logs),
        "accepted": COUNTERS.value("accepted"), "written": COUNTERS.value("written"),
        "dropped": COUNTERS.dropped(),
    }))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "durability",
    ["mapped", *(pytest.param(mode, marks=pytest.mark.storm) for mode in ("queued", "write"))],
)
def test_spans_in_finalizers_signal_handlers_and_log_handlers(
    tmp_path: Path, durability: str
) -> None:
    """All at once beside busy threads: no deadlock, and each record is written or counted."""
    env = tree_env(OTEL_EXT_DURABILITY=durability)
    done = printed_object(command(EVERYWHERE, tmp_path, "1"), env=env)
    report_figures(f"everywhere, {durability}", **done)
    assert done["hung"] is False
    for what in ("signals", "finalizers", "logs"):
        assert cast("int", done[what]) > 5
    dropped = cast("dict[str, int]", done["dropped"])
    assert done["accepted"] == cast("int", done["written"]) + sum(dropped.values())
    found = read(tmp_path)
    if not dropped:
        starts = {start.key for start in found.phase("start")}
        assert len(starts) == done["used"]
        assert starts == {end.key for end in found.phase("end") if not end.abandoned}
        # Python clears the weak reference to a span in a dead cycle before the finalizer ends it.
        given_up = {end.name for end in found.phase("end") if end.abandoned}
        assert given_up <= {"ended in a finalizer"}


@pytest.mark.storm
@pytest.mark.timeout(120)
def test_a_storm_of_forks() -> None:
    """Children forked beside busy threads record and end in each way; `make chaos` forks more."""
    program = ROOT / "tests" / "chaos" / "fork_storm.py"
    done = subprocess.run(
        [sys.executable, str(program), "90"],
        env=tree_env(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    outcome = json.loads(done.stdout)
    report_figures("a storm of forks", **outcome)
    assert outcome["wrong"] == [], done.stderr[-3000:]
    assert done.returncode == 0


def test_the_storm_waits_for_a_child_that_is_being_recovered(tmp_path: Path) -> None:
    """A thread of the storm's own process may recover the last child while its records are read."""
    text = """
        tracer.start_span("child")
        print(os.getpid(), otel_ext.runtime.process.incarnation.current().id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    with running(command(text, tmp_path)) as program:
        pid, incarnation = read_line(program).split()
    has_lock = threading.Event()

    def recover_slowly() -> None:
        with incarnation_lock(tmp_path, incarnation) as is_locked:
            assert is_locked
            has_lock.set()
            time.sleep(0.3)

    thread = threading.Thread(target=recover_slowly)
    thread.start()
    assert has_lock.wait(10)
    wrong = judge(tmp_path, [int(pid)])
    thread.join()
    assert not [one for one in wrong if "children have recorded" in one or "left behind" in one]
