"""Announcements: overflow, failures, idle registries, the exit, other processes."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from otel_ext.events import subscribe
from otel_ext.events.deferred import deferred_events
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.runtime.health import health
from otel_ext.runtime.worker import shared_worker
from otel_ext.services.announcements import ADDED, GONE, Announcer, announcer
from tests.programs import (
    environment,
    in_child,
    python,
    records_in,
    started,
    succeed,
    wait_until,
    write_program,
)
from tests.services.registries import about, steps_of, wait_for_steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.events import Event
    from otel_ext.record.model import Record
    from otel_ext.services import Agent, AgentRegistry, ServiceRegistry


class Stalled(Announcer):
    """An announcer whose queue has room for 10, and whose worker does not come."""

    def __init__(self) -> None:
        super().__init__(add=self.take)
        self.queued: list[tuple[object, ...]] = []

    def take(self, *event: object) -> bool:
        """Queue an event, as `DeferredEvents.add` does."""
        if len(self.queued) < 10:
            self.queued.append(event)
            return True
        return False

    def write(self) -> None:
        """Write what is queued."""
        for make, *arguments in self.queued:
            deferred_events().add(make, *arguments)  # type: ignore[arg-type]
        self.queued.clear()
        assert deferred_events().flush(30.0)

    def _ensure_job(self) -> None:
        """Start nothing."""


def stalled(agents: AgentRegistry) -> Stalled:
    """Give a registry an announcer whose worker does not come."""
    made = Stalled()
    agents._announcer = made  # noqa: SLF001 - there is one for a process
    agents.is_watched = False
    return made


def test_an_overflow_is_counted_and_made_good(agents: AgentRegistry, records: list[Record]) -> None:
    """Health says so; agents that live are recorded once there is room."""
    made = stalled(agents)
    for number in range(15):
        agents.register(f"agent-{number}")
    states = {part.state for part in health().parts if part.name == "registries"}
    assert "degraded" in states
    made.run()  # the queue is full still
    made.write()
    assert steps_of(records, "agent-9") == ["agent.registered"]
    assert steps_of(records, "agent-10") == []
    made.run()
    made.write()
    for number in range(15):
        assert steps_of(records, f"agent-{number}") == ["agent.registered"]
    assert made._cell.report().state == "healthy"  # noqa: SLF001


def test_ends_are_announced_later(agents: AgentRegistry, records: list[Record]) -> None:
    """Those that do not fit are kept, so that no agent stays in the records."""
    made = stalled(agents)
    for number in range(10):
        agents.register(f"agent-{number}")
    for number in range(10):
        agents.unregister(f"agent-{number}")
    made.write()
    made.run()
    made.write()
    for number in range(10):
        assert steps_of(records, f"agent-{number}") == ["agent.registered", "agent.unregistered"]


def test_the_end_comes_before_the_next_agent_of_an_id(
    agents: AgentRegistry, records: list[Record]
) -> None:
    """While an end waits for room the next agent waits too: else the end would remove it."""
    made = stalled(agents)
    for number in range(10):
        agents.register(f"agent-{number}")
    agents.unregister("agent-0")
    made.write()  # there is room again
    agents.register("agent-0", n=2)
    agents.register("agent-1000")
    made.run()
    made.write()
    steps = ["agent.registered", "agent.unregistered", "agent.registered"]
    assert steps_of(records, "agent-0") == steps
    assert about(records, "agent-0")[-1].attributes == {"n": 2}
    agents.register("agent-1001")
    made.write()  # the worker need not come: no gap is left
    assert steps_of(records, "agent-1000") == ["agent.registered"]
    assert steps_of(records, "agent-1001") == ["agent.registered"]


class Meanwhile:
    """A registry without entries; at the first look at it another thread does something."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self.is_watched = True
        self.steps = [*steps]

    def entries(self) -> list[Agent]:
        """Do it."""
        if self.steps:
            self.steps.pop()()
        return []

    def check_owners(self) -> None:
        """Do nothing."""


def test_a_gap_that_comes_while_gaps_are_filled(
    agents: AgentRegistry, records: list[Record]
) -> None:
    """It is not forgotten: the worker comes again for it."""
    made = stalled(agents)
    for number in range(11):
        agents.register(f"agent-{number}")
    agents.unregister("agent-0")
    made.write()

    def overflow() -> None:
        made.queued += [(lambda: None,)] * 10
        agents.unregister("agent-1")
        made.queued = made.queued[:-10]

    other = Meanwhile(overflow)
    made.watch(other)
    made.run()
    made.write()
    assert steps_of(records, "agent-1") == ["agent.registered"]
    made.watch(other)
    made.run()
    made.write()
    assert steps_of(records, "agent-1") == ["agent.registered", "agent.unregistered"]


def test_a_gap_that_comes_while_the_job_ends(agents: AgentRegistry) -> None:
    """The job is started again for it, although no registry is watched."""
    full = [True]
    made = Announcer(lambda *_: not full[0])
    made.add(agents.register("a"), GONE, "unregistered")
    # As if the worker had looked just before.
    made._stop(made._jobs["job"])  # noqa: SLF001
    assert made._jobs  # noqa: SLF001
    full[0] = False
    wait_until(lambda: not made._has_gaps, "the gap is filled")  # noqa: SLF001
    wait_until(lambda: not made._jobs, "the job ends")  # noqa: SLF001


@pytest.mark.forks
def test_a_forked_child_is_healthy(agents: AgentRegistry) -> None:
    """What its parent could not announce in time is not its own trouble."""
    made = stalled(agents)
    for number in range(11):
        agents.register(f"agent-{number}")

    def state() -> str:
        return made._cell.report().state  # noqa: SLF001

    assert state() == "degraded"
    assert in_child(state) == "healthy"


def test_late_announcements_change_nothing(agents: AgentRegistry, records: list[Record]) -> None:
    """Where threads queue the steps of an agent in another order, the last step counts."""
    made = stalled(agents)
    agent = agents.register("a")
    made.queued.clear()
    made.add(agent, GONE, "unregistered")
    made.add(agent, ADDED)
    made.write()
    assert steps_of(records, "a") == ["agent.unregistered"]


def test_metadata_that_cannot_be_recorded(agents: AgentRegistry, records: list[Record]) -> None:
    """An error in one announcement is reported, and the next ones are written."""
    made = stalled(agents)
    agent = agents.register("bad")
    agent._metadata = 7  # type: ignore[assignment]  # noqa: SLF001 - as if it were broken
    agents.register("good")
    made.write()
    assert steps_of(records, "good") == ["agent.registered"]
    assert steps_of(records, "bad") == []


def test_a_handler_that_raises_does_not_stop_the_records(
    agents: AgentRegistry, records: list[Record]
) -> None:
    """The bus guards the worker from the program's handlers."""

    def broken(event: Event) -> None:
        raise RuntimeError(event.name)

    with subscribe("agent.*", broken, inline=True):
        agents.register("a")
        wait_for_steps(records, "a", "agent.registered")


def test_an_idle_process_is_left_alone(agents: AgentRegistry, records: list[Record]) -> None:
    """Without entries no job runs; the next entry starts it again."""
    agents.register("a")
    wait_until(lambda: agents.is_watched, "it is watched")
    agents.unregister("a")
    wait_until(lambda: not agents.is_watched, "it rests")
    agents.register("b")
    assert agents.is_watched
    assert announcer()._jobs  # noqa: SLF001 - no public way
    wait_for_steps(records, "b", "agent.registered")
    assert shared_worker().is_alive


AT_EXIT = """\
import otel_ext
from otel_ext.services import AgentRegistry, default_services
agents = AgentRegistry()
agents.register("first")
otel_ext.configure(output="traces", console="off")
agents.register("last", n=1)
default_services().register("db", 1)
"""


def test_what_waits_is_written_at_exit(tmp_path: Path) -> None:
    """Also if the registry is older than the destination, and nothing is printed."""
    done = succeed(python(write_program(tmp_path, AT_EXIT)), tmp_path)
    assert done.output == ""
    records = records_in(tmp_path / "traces")
    assert steps_of(records, "first") == ["agent.registered"]
    assert about(records, "last")[0].attributes == {"n": 1}
    assert steps_of(records, "db") == ["service.registered", "service.ready"]


OWNERS = """\
import subprocess, sys, threading, time
import otel_ext
from otel_ext.services import AgentRegistry, ServiceRegistry
otel_ext.configure(output="traces", console="off")
agents, services = AgentRegistry(), ServiceRegistry()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
agents.register("of a process", owner=child, role="watcher")
def work():
    agents.register("of a thread", role="worker")
    with otel_ext.with_span("long work"):
        time.sleep(60)
threading.Thread(target=work, daemon=True).start()
services.register("db", object(), metadata={"host": "db-1"})
print(child.pid, flush=True)
time.sleep(60)
"""


def test_other_processes_see_who_is_there(tmp_path: Path) -> None:
    """A snapshot has the living agents and services; a killed owner's agent goes from it."""
    program = write_program(tmp_path, OWNERS)
    reader = SnapshotReader([tmp_path / "traces"])

    def entities() -> dict[str, str]:
        return {one.entity.id: one.state for one in reader.read().entities}

    with started(python(program), cwd=tmp_path, env=environment()):
        wait_until(lambda: len(entities()) == 3, "all are there")
        wait_until(lambda: entities()["of a thread"] == "running", "its span runs")
        assert entities() == {"of a process": "idle", "of a thread": "running", "db": "idle"}
        found = {one.entity.id: one for one in reader.read().entities}
        assert found["of a thread"].span is not None
        assert found["of a thread"].span.record.name == "long work"
        assert found["db"].record.attributes == {"host": "db-1", "ready": True}
        os.kill(int((tmp_path / "output.txt").read_text().split()[0]), signal.SIGKILL)
        wait_until(lambda: "of a process" not in entities(), "gone with its process")
        files = [*(tmp_path / "traces").glob("*.jsonl")]
        # Readers find it in the ring buffer before it is in the file.
        wait_until(lambda: any(b"process-ended" in file.read_bytes() for file in files), "written")
    records = records_in(tmp_path / "traces")
    last = about(records, "of a process")[-1]
    assert last.attributes == {"role": "watcher", "reason": "owner-process-ended"}


SPAWNING = """\
import json, multiprocessing, os, sys, time
import otel_ext
from otel_ext.services import default_agents

def child(name):
    default_agents().register(name)
    return [agent.id for agent in default_agents().list()]

if __name__ == "__main__":
    otel_ext.configure(output="traces", console="off")
    default_agents().register("parent")
    found = {}
    for way in ("fork", "spawn"):
        with multiprocessing.get_context(way).Pool(1) as pool:
            found[way] = pool.apply(child, (way,))
    found["parent"] = [agent.id for agent in default_agents().list()]
    print(json.dumps(found))
"""


def test_children_have_registries_of_their_own(tmp_path: Path) -> None:
    """Forked or spawned, they see none of the parent's agents, nor it theirs."""
    done = succeed(python(write_program(tmp_path, SPAWNING)), tmp_path)
    assert json.loads(done.out) == {"fork": ["fork"], "spawn": ["spawn"], "parent": ["parent"]}


def test_a_registry_of_services_and_one_of_agents_share_a_name(
    agents: AgentRegistry, services: ServiceRegistry, records: list[Record]
) -> None:
    """Entities of different types are different."""
    agents.register("shared")
    services.register("shared", 1)
    agents.unregister("shared")
    steps = ("agent.registered", "service.registered", "service.ready", "agent.unregistered")
    found = wait_for_steps(records, "shared", *steps)
    assert [record.seq for record in found] == sorted(record.seq for record in found)


def test_an_interrupted_removal(agents: AgentRegistry, services: ServiceRegistry) -> None:
    """What a thread did not finish to remove neither is found nor keeps its id for ever."""
    agents.register("a").end()
    services.register("a", 1)
    assert services._table.items["a"].end()  # noqa: SLF001 - as if an interrupt came then
    assert "a" not in services
    second = agents.register("a")
    services.register("a", 2)
    assert agents.get("a") is second
    assert services.lookup("a") == 2
