"""How a program whose writes block is distinguished from one that hangs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.commands.doctor.programs import check_processes
from otel_ext.observe.liveness import ClockReading, LivenessEvidence, condition_of
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.record.model import Process
from tests.cli.watched import become, columns, run_on_traces, shop, spans_by
from tests.journal.builders import own_process
from tests.programs import environment, wait_until
from tests.soak.blocked_sink import build

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.observe.liveness import Condition

TICKS = """\
open("ready-" + sys.argv[3], "w").close()
        while True:
            tracer.start_span("tick").end()
            time.sleep(0.02)
"""
FILLS_THE_RING = """\
import os
        orders = [tracer.start_span(f"order {number}") for number in range(30)]
        open("ready-" + sys.argv[3], "w").close()
        while not os.path.exists("blocked"):
            time.sleep(0.01)
        for number in range(1_000):
            tracer.start_span("fill", attributes={"text": "x" * 100})
        for order in orders:
            order.end()
        open("ended", "w").close()
        time.sleep(60)
"""


def blocking(folder: Path) -> dict[str, str]:
    """Return an environment in which writes hang while the file `blocked` is in `folder`."""
    where = {"BLOCK_WRITES_WHILE": str(folder / "blocked")}
    return environment(LD_PRELOAD=str(build(folder)), **where)


@pytest.mark.needs("cc")
def test_a_program_whose_disk_blocks_is_not_shown_as_hung(tmp_path: Path) -> None:
    """Its spans have the state blocked in table, tree, top, doctor and JSON."""
    with shop(tmp_path, body=TICKS, env=blocking(tmp_path)) as process:
        names = ("--name", "[!t]*")
        become(tmp_path, "running", *names)
        (tmp_path / "blocked").touch()
        become(tmp_path, "blocked", *names)

        def silent_seconds() -> float:
            about = spans_by(tmp_path, "ps", *names)["pay"]["process"]
            seconds: float = about["worker_silent_seconds"]
            return seconds

        wait_until(lambda: silent_seconds() > 4, "a silent worker would count as hung")
        shown = spans_by(tmp_path, "ps", *names)["pay"]
        ps = run_on_traces(tmp_path, "ps", "--tree", *names)
        top = run_on_traces(tmp_path, "top", "--once", *names)
        doctor = run_on_traces(tmp_path, "doctor", "--no-color")
        (tmp_path / "blocked").unlink()
        become(tmp_path, "running", *names)
    assert (shown["state"], shown["process"]["condition"]) == ("blocked", "blocked")
    assert {row[1] for row in columns(ps.out)[1:]} == {"blocked"}
    assert f"process {process.pid} shop_one.py: its disk blocks: nothing has been written" in ps.err
    assert "2 blocked   0 hung" in top.out
    assert f"weak {process.pid} shop_one.py its disk blocks" in " ".join(doctor.out.split())
    assert doctor.code == 1


@pytest.mark.needs("cc")
def test_an_idle_program_whose_disk_blocks_is_shown_as_hung(tmp_path: Path) -> None:
    """It cannot be distinguished from one that hangs, so the message names both causes."""
    with shop(tmp_path, env=blocking(tmp_path), heartbeat_interval=0.2):
        (tmp_path / "blocked").touch()
        become(tmp_path, "hung")
        ps = run_on_traces(tmp_path, "ps")
        doctor = run_on_traces(tmp_path, "doctor", "--json").document
        (tmp_path / "blocked").unlink()
        become(tmp_path, "running")
    known = "its worker has written nothing for"
    assert f"shop_one.py: {known}" in ps.err
    assert "it hangs, or is idle while its disk blocks" in ps.err
    assert any(part["detail"].startswith(known) for part in doctor["parts"])


@pytest.mark.needs("cc")
def test_ends_that_a_full_ring_buffer_refuses_are_reported(tmp_path: Path) -> None:
    """Ended spans look open to every reader then; each prints why they may have ended."""
    why = "its ring buffer is full, so its spans may have ended"
    env = blocking(tmp_path)
    # A heartbeat meanwhile would report the refused records itself.
    slow = 3_600
    with shop(
        tmp_path, body=FILLS_THE_RING, env=env, ring_size="128KiB", heartbeat_interval=slow
    ) as process:
        (tmp_path / "blocked").touch()
        wait_until((tmp_path / "ended").exists, "the ends")
        process.kill()
        process.wait()
    snapshot = SnapshotReader([tmp_path / "traces"]).read()
    orders = [span for span in snapshot.spans if span.record.name.startswith("order")]
    assert {(span.state, span.process.problem) for span in orders} == {("lost", why)}
    hung = orders[0].process._replace(condition="hung", worker_silent_ns=5 * S)
    assert hung.problem.endswith(f"is idle while its disk blocks; {why}")
    assert hung.as_dict()["may_lack_ends"]
    lost = hung._replace(dropped=1_751)
    assert (
        lost.missing_ends_reason == "1,751 of its records were dropped, so its spans may have ended"
    )
    assert not lost._replace(condition="alive").as_dict()["may_lack_ends"]
    assert [one.part for one in check_processes(snapshot) if why in one.detail] == ["leftovers"]
    assert f"process {process.pid} shop_one.py: {why}\n" in run_on_traces(tmp_path, "tree").err
    assert f"[{process.pid} shop_one.py] {why}" in run_on_traces(tmp_path, "recover").out


S = 1_000_000_000
NOW = ClockReading(1_000_000 * S, 500_000 * S)


def evidence(**ages: float) -> LivenessEvidence:
    """Return evidence of liveness by age in seconds; a negative age is in the future."""
    now = {"steady_ns": NOW.steady_ns}
    return LivenessEvidence(
        **{name: now.get(name, NOW.wall_ns) - int(age * S) for name, age in ages.items()}
    )


@pytest.mark.parametrize(
    ("known", "condition"),
    [
        (evidence(stamp_ns=1, steady_ns=1), "alive"),
        (evidence(stamp_ns=4, steady_ns=4), "hung"),
        (evidence(stamp_ns=4, steady_ns=4, record_ns=3.9), "hung"),
        (evidence(stamp_ns=4, steady_ns=4, record_ns=0.1), "blocked"),
        # The ring buffer is full, so no new record comes, but the program was known to run.
        (evidence(stamp_ns=900, steady_ns=900, record_ns=800), "blocked"),
        (evidence(stamp_ns=3.5, steady_ns=3.5, record_ns=2), "alive"),
        (evidence(stamp_ns=4, steady_ns=4, seen_ns=0.1), "hung"),
        # Without a ring buffer only heartbeats and the file count.
        (evidence(seen_ns=15), "alive"),
        (evidence(seen_ns=17), "hung"),
        # The wall clock was set back before the last stamp: the monotonic clock decides.
        (evidence(stamp_ns=-3600, steady_ns=1), "alive"),
        (evidence(stamp_ns=-3600, steady_ns=4), "hung"),
        (evidence(stamp_ns=-3600, steady_ns=9, record_ns=1), "blocked"),
        # It was set ahead.
        (evidence(stamp_ns=86_400, steady_ns=1), "alive"),
        # An older version stamped by the wall clock only; a living process stamps it again.
        (evidence(stamp_ns=-3600), "hung"),
        (evidence(stamp_ns=-3600, seen_ns=2), "alive"),
        (evidence(stamp_ns=-0.5), "alive"),
        (evidence(stamp_ns=4), "hung"),
        # All clocks of the program are fake: the modification time of its file decides.
        (evidence(stamp_ns=-3600, steady_ns=-3600, seen_ns=2), "alive"),
    ],
)
def test_the_condition_follows_from_the_evidence(
    known: LivenessEvidence, condition: Condition
) -> None:
    """A late stamp means a hang only if no record was made since, whatever the clock was set to.

    A stamp from the future does not prove liveness, and an old one does not prove a hang.
    """
    assert condition_of(own_process(), known, NOW, 16) == condition


def test_the_newest_activity_decides_for_a_process_of_another_machine() -> None:
    """It is silent after three missed heartbeats; records count as heartbeats."""
    elsewhere = Process("p", os.getpid(), 1, "another boot", "elsewhere")
    old = evidence(stamp_ns=17, record_ns=17)
    assert condition_of(elsewhere, old, NOW, 16) == "silent"
    assert condition_of(elsewhere, old._replace(record_ns=NOW.wall_ns), NOW, 16) == "alive"
