"""A supervisor in programs: what readers see, a kill, the exit, and gevent."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from otel_ext.observe.snapshot import SnapshotReader
from tests.commands import call
from tests.programs import becomes_true, python, started, succeed, wait_until, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.observe.entities import ObservedEntity

TREE = """\
import sys, threading
import otel_ext
from otel_ext.services import Supervisor

otel_ext.configure(output="traces", console="off")

def waits(context):
    context.ready()
    context.stopping.wait()

def fails_once(context):
    if context.life == 1:
        raise ValueError("no \\x1b[31m")
    waits(context)

inner = Supervisor("inner", initial_interval=0.001)
inner.add("fails", fails_once, ready=30.0)
outer = Supervisor("shop")
outer.add("first", waits, ready=30.0)
outer.add("pool", inner)
outer.start()
open("ready", "w").close()
threading.Event().wait(60)
"""


def entities_in(folder: Path) -> dict[tuple[str, str], ObservedEntity]:
    """Return what the programs that record in `folder` have now, by type and id."""
    snapshot = SnapshotReader([folder]).read()
    return {one.entity[:2]: one for one in snapshot.entities}


def test_readers_see_the_tree_and_who_was_lost(tmp_path: Path) -> None:
    """Each child has its state, its span and its supervisor; after a kill all are lost."""
    program = write_program(tmp_path, TREE)
    with started(python(program), cwd=tmp_path) as process:
        wait_until((tmp_path / "ready").exists, "it has started")
        # The record of the newest state is written just after.
        assert becomes_true(
            lambda: (
                {
                    key: one.record.attributes["state"]
                    for key, one in entities_in(tmp_path / "traces").items()
                }
                == {
                    ("supervisor", "shop"): "running",
                    ("supervisor", "shop/pool"): "running",
                    ("child", "shop/first"): "ready",
                    ("child", "shop/pool"): "ready",
                    ("child", "shop/pool/fails"): "ready",
                }
            )
        )
        found = entities_in(tmp_path / "traces")
        fails = found["child", "shop/pool/fails"]
        assert fails.span is not None
        assert (fails.span.record.name, fails.state) == ("fails", "running")
        assert fails.record.attributes["parent"] == "shop/pool"
        assert (fails.record.attributes["life"], fails.record.attributes["restarts"]) == (2, 1)
        shown = call("ps", "traces", "--tree", "--no-ask", cwd=tmp_path)
        lines = shown.out.splitlines()
        tree = [line.split()[:4] for line in lines[lines.index("") + 1 :]]
        assert tree[0] == ["SUPERVISOR", "STATE", "RESTARTS", "PROCESS"]
        assert tree[1][:2] == ["shop", "running"]
        assert sorted(tree[2:])[-3:] == sorted(
            [
                *(row for row in tree[2:] if "first" in row or "pool" in row),
                *(row for row in tree[2:] if "fails" in row),
            ]
        )
        (row,) = (line for line in lines if "fails" in line and "ValueError" in line)
        assert "\x1b" not in row
        assert "shop" not in call("ps", "traces", "--no-ask", cwd=tmp_path).out.split()
        process.kill()
        process.wait()
    lost = entities_in(tmp_path / "traces")
    assert len(lost) == 5
    assert {one.state for one in lost.values()} == {"lost"}
    tree_of_lost = call("ps", "traces", "--tree", "--no-ask", cwd=tmp_path).out
    assert tree_of_lost.partition("\n\n")[2].count(" lost ") == 4


EXIT = """\
import sys
from otel_ext.services import Supervisor
import otel_ext

otel_ext.configure(output="traces", console="off")

def waits(context, name):
    context.ready()
    context.stopping.wait()
    print("stopped", name, flush=True)

def hangs(context):
    import time
    context.ready()
    time.sleep(600)

supervisor = Supervisor("shop")
for name in "ab":
    supervisor.add(name, waits, args=[name], ready=30.0)
if len(sys.argv) > 1:
    supervisor.add("hangs", hangs, ready=30.0)
supervisor.start()
"""


def test_the_exit_of_the_program_stops_children_in_order(tmp_path: Path) -> None:
    """Without a call of `stop`; no entity is left, and each span has ended."""
    done = succeed(python(write_program(tmp_path, EXIT)), tmp_path)
    assert done.out.splitlines() == ["stopped b", "stopped a"]
    assert done.err == ""
    snapshot = SnapshotReader([tmp_path / "traces"]).read()
    assert (snapshot.entities, snapshot.spans) == ((), ())


def test_a_child_that_hangs_does_not_hold_up_the_exit(tmp_path: Path) -> None:
    """The others are asked all the same; the program ends, and says which one hangs."""
    done = succeed(python(write_program(tmp_path, EXIT), "hangs"), tmp_path)
    assert "child hangs: life 1 did not end in time" in done.err


GEVENT = """\
from gevent import monkey; monkey.patch_all()
import gevent
from otel_ext.services import Supervisor

lives = []

def child(context):
    lives.append(context.life)
    if context.life == 1:
        raise ValueError
    context.ready()
    context.stopping.wait()

supervisor = Supervisor("shop", initial_interval=0.001)
supervisor.add("child", child, ready=30.0)
print(supervisor.start(), supervisor.stop(), lives)
"""


def test_children_are_greenlets_with_gevent(tmp_path: Path) -> None:
    """They start again, and stop, as threads do."""
    done = succeed(python(write_program(tmp_path, GEVENT)), tmp_path)
    assert done.out == "True True [1, 2]\n"


def test_a_stop_by_signal_ends_the_program_in_order(tmp_path: Path) -> None:
    """SystemExit in a handler leaves the `with` block, which stops the children."""
    text = EXIT.replace(
        "supervisor.start()",
        "import signal, threading\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "with supervisor:\n"
        "    open('ready', 'w').close()\n"
        "    threading.Event().wait(60)",
    )
    output = tmp_path / "output.txt"
    with started(python(write_program(tmp_path, text)), cwd=tmp_path, output=output) as process:
        wait_until((tmp_path / "ready").exists, "it has started")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
    assert output.read_text().splitlines() == ["stopped b", "stopped a"]


IDLE = """\
import threading
import otel_ext
from otel_ext.events.deferred import deferred_events
from otel_ext.services import Supervisor

otel_ext.configure(output="traces", console="off")

def fails(context):
    raise ValueError("no")

failed = Supervisor("failed", max_restarts=1, initial_interval=0.001)
failed.add("c", fails)
failed.start()
failed.wait()
pausing = Supervisor("pausing", initial_interval=600.0, max_interval=600.0)
for name in "zma":
    pausing.add(name, fails)
pausing.start(0.0)
while {child.state for child in pausing.children()} != {"backoff"}:
    threading.Event().wait(0.01)
deferred_events().flush(30.0)
open("ready", "w").close()
threading.Event().wait(60)
"""


def test_supervisors_without_open_spans_are_shown(tmp_path: Path) -> None:
    """Those that have failed or pause; the children are in the order of their starts."""
    program = write_program(tmp_path, IDLE)
    with started(python(program), cwd=tmp_path) as process:
        wait_until((tmp_path / "ready").exists, "all have failed")
        shown = call("ps", "traces", "--tree", "--no-ask", cwd=tmp_path)
        assert call("ps", "traces", "--tree", "--no-ask", "--json", cwd=tmp_path).code == 1
        assert call("ps", "traces", "--no-ask", cwd=tmp_path).code == 1
        process.kill()
    assert (shown.code, "no span is open" in shown.err) == (0, True)
    rows = [
        [word for word in line.split() if "─" not in word][:2] for line in shown.out.splitlines()
    ]
    assert rows == [
        ["SUPERVISOR", "STATE"],
        ["failed", "failed"],
        ["c", "failed"],
        ["pausing", "starting"],
        *[[name, "backoff"] for name in "zma"],
    ]


EXITS = """\
import threading
from otel_ext.services import Supervisor

all_asked = threading.Event()

def first(context):
    context.ready()
    context.stopping.wait()
    all_asked.set()

def last(context):
    context.ready()
    all_asked.wait(600)

for name, child in (("first", first), ("last", last)):
    supervisor = Supervisor(name)
    supervisor.add("child", child, ready=30.0)
    supervisor.start()
"""


def test_the_exit_asks_all_supervisors_before_it_waits(tmp_path: Path) -> None:
    """A child of the one that was started last ends only when that of the first one has."""
    done = succeed(python(write_program(tmp_path, EXITS)), tmp_path)
    assert done.err == ""
