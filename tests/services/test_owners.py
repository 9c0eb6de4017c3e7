"""The owners of agents: each kind ends an agent, with its reason."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.errors import ConfigError
from tests.programs import python, started, wait_until
from tests.services.registries import wait_for_steps
from tests.threads import on_thread

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext
    from pathlib import Path

    from otel_ext.record.model import Record
    from otel_ext.services import AgentRegistry

SLEEP = python("-c", "import time; time.sleep(60)")


def reason_of(records: list[Record], name: str) -> object:
    """Wait for the end of an agent, and return its reason."""
    _, last = wait_for_steps(records, name, "agent.registered", "agent.unregistered")
    return last.attributes["reason"]


def test_a_task_owns_what_it_registers(agents: AgentRegistry, records: list[Record]) -> None:
    """The agent goes when the task has finished, even if it is still referenced."""

    async def work() -> str:
        agent = agents.register("a")
        await asyncio.sleep(0)
        assert "a" in agents
        return agent.owner

    async def main() -> None:
        task = asyncio.create_task(work(), name="worker")
        assert await task == "task 'worker'"
        await asyncio.to_thread(wait_until, lambda: "a" not in agents, "gone with its task")
        assert task.done()

    asyncio.run(main())
    first, last = wait_for_steps(records, "a", "agent.registered", "agent.unregistered")
    assert last.attributes["reason"] == "owner-task-ended"
    assert first.task is not None
    assert first.task.name == "worker"
    assert first.thread is not None


def test_a_cancelled_task_that_is_given(agents: AgentRegistry, records: list[Record]) -> None:
    """A task that another one registers for owns the agent."""

    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        agents.register("a", owner=task)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.to_thread(wait_until, lambda: "a" not in agents, "gone with its task")

    asyncio.run(main())
    assert reason_of(records, "a") == "owner-task-ended"


def test_a_thread_that_is_given(agents: AgentRegistry, records: list[Record]) -> None:
    """It may start later; the agent goes at its end, not before."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="given", args=(30,))
    agent = agents.register("a", owner=thread)
    assert agent.owner == "thread 'given'"
    agents.check_owners()
    assert "a" in agents
    thread.start()
    agents.check_owners()
    assert "a" in agents
    stop.set()
    thread.join()
    assert reason_of(records, "a") == "owner-thread-ended"


def test_a_thread_that_never_starts(agents: AgentRegistry) -> None:
    """Collected unstarted, it has ended."""
    agents.register("a", owner=threading.Thread(target=print))
    gc.collect()
    wait_until(lambda: "a" not in agents, "gone with its thread")


def test_the_calling_thread_that_is_given(agents: AgentRegistry) -> None:
    """It is the same as without an owner, also for a thread that Python did not start."""
    owners: list[str] = []

    def foreign() -> None:
        owners.append(agents.register("a", owner=threading.current_thread()).owner)

    import _thread  # noqa: PLC0415 - only here

    _thread.start_new_thread(foreign, ())
    wait_until(lambda: owners, "registered")
    wait_until(lambda: "a" not in agents, "gone with its thread")
    assert owners[0].startswith("thread 'Dummy-")


def test_a_foreign_thread_that_is_given(agents: AgentRegistry) -> None:
    """One that Python did not start, and so says for ever that it is alive, ends its agent."""
    found: list[threading.Thread] = []
    stop = threading.Event()

    def foreign() -> None:
        found.append(threading.current_thread())
        stop.wait(30)

    import _thread  # noqa: PLC0415 - only here

    _thread.start_new_thread(foreign, ())
    wait_until(lambda: found, "the thread runs")
    agents.register("a", owner=found[0])
    agents.check_owners()
    assert "a" in agents
    stop.set()
    wait_until(lambda: "a" not in agents, "gone with its thread")


def test_an_object_that_is_collected(agents: AgentRegistry, records: list[Record]) -> None:
    """The registry does not keep it alive."""

    class Session:
        pass

    session = Session()
    agent = agents.register("a", owner=session)
    assert agent.owner.endswith("Session")
    agents.check_owners()
    assert "a" in agents
    del session
    gc.collect()
    assert reason_of(records, "a") == "owner-collected"


@pytest.mark.parametrize("wrong", ["text", (), 1.5, True, 0, -7], ids=repr)
def test_an_owner_that_cannot_be_watched(agents: AgentRegistry, wrong: object) -> None:
    """It is refused, and nothing is registered."""
    with pytest.raises(ConfigError, match="owner="):
        agents.register("a", owner=wrong)
    assert agents.list() == []


class Uninitialised(threading.Thread):
    """A thread whose class forgot to call the base."""

    def __init__(self) -> None:
        pass


class Pidless(subprocess.Popen[bytes]):
    """A process to start whose pid cannot be had, from some moment on."""

    def __init__(self) -> None:
        self.is_broken = False

    def _pid(self) -> int | None:
        if self.is_broken:
            raise RuntimeError("no pid")
        return None

    pid = cast("int", property(_pid))

    def __del__(self) -> None:
        """Do not look at what was never started."""


def test_an_owner_whose_code_raises(agents: AgentRegistry) -> None:
    """It is refused with a ConfigError, whatever it raises, and nothing is registered."""
    process = Pidless()
    process.is_broken = True
    for owner, text in ((Uninitialised(), "cannot be watched"), (process, "RuntimeError: no pid")):
        with pytest.raises(ConfigError, match=f"owner=.*{text}"):
            agents.register("a", owner=owner)
    assert agents.list() == []


def test_an_owner_that_cannot_be_asked_later(
    agents: AgentRegistry, records: list[Record], capfd: pytest.CaptureFixture[str]
) -> None:
    """It counts as ended, with a report, and the other owners are asked as before."""

    class Session:
        pass

    process, session = Pidless(), Session()
    agents.register("bad", owner=process)
    agents.register("good", owner=session)
    agents.check_owners()
    assert len(agents) == 2
    process.is_broken = True
    del session
    gc.collect()
    assert reason_of(records, "bad") == "owner-process-ended"
    assert reason_of(records, "good") == "owner-collected"
    agents.register("bad", owner=Session)
    text = "an owner of agents cannot be asked, so it counts as ended: RuntimeError: no pid"
    assert capfd.readouterr().err.count(text) == 1


def test_a_thread_with_code_of_its_own(agents: AgentRegistry) -> None:
    """Its methods and properties are not used, neither here nor on the worker."""

    class Own(threading.Thread):
        def is_alive(self) -> bool:
            raise RuntimeError("mine")

        @property
        def ident(self) -> int:
            raise RuntimeError("mine")

    stop = threading.Event()
    thread = Own(target=stop.wait, name="own", args=(30,))
    assert agents.register("a", owner=thread).owner == "thread 'own'"
    thread.start()
    agents.check_owners()
    assert "a" in agents
    with pytest.raises(ConfigError, match="by thread 'own'"):
        agents.register("a")
    stop.set()
    wait_until(lambda: "a" not in agents, "gone with its thread")


def test_metadata_do_not_keep_their_owner(agents: AgentRegistry) -> None:
    """They are plain data, so an owner in them can be collected."""

    class Session:
        pass

    session = Session()
    agents.register("a", owner=session, session=session, more=[{"session": session}])
    del session
    gc.collect()
    wait_until(lambda: "a" not in agents, "gone with its owner")


@pytest.mark.parametrize("kind", ["popen", "pid"])
def test_a_killed_process(
    agents: AgentRegistry, records: list[Record], tmp_path: Path, kind: str
) -> None:
    """The agent goes although the killed process is a zombie that has not been waited for."""
    with started(SLEEP, cwd=tmp_path) as process:
        agent = agents.register("a", owner=process if kind == "popen" else process.pid)
        assert agent.owner == f"process {process.pid}"
        agents.check_owners()
        assert "a" in agents
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wait_until(lambda: "a" not in agents, "gone with its process")
        assert process.returncode is None
    assert reason_of(records, "a") == "owner-process-ended"


def test_a_pid_without_a_process(agents: AgentRegistry) -> None:
    """A process that has ended before registers nothing for long."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    agents.register("a", owner=done.pid)
    wait_until(lambda: "a" not in agents, "gone with its process")


def spawn() -> SpawnContext:
    """Return the way to start processes of multiprocessing that copies no threads."""
    return multiprocessing.get_context("spawn")


def test_a_process_of_multiprocessing(agents: AgentRegistry, records: list[Record]) -> None:
    """It may start later; its end is noticed before it is waited for."""
    process = spawn().Process(target=sys.stdin.close, daemon=True)
    agent = agents.register("a", owner=process)
    assert agent.owner == "a process to start"
    agents.check_owners()
    assert "a" in agents
    process.start()
    os.waitid(os.P_PID, process.pid or 0, os.WEXITED | os.WNOWAIT)
    assert reason_of(records, "a") == "owner-process-ended"
    process.join(30)


def test_a_closed_process_of_multiprocessing(agents: AgentRegistry) -> None:
    """Its pid is not known any more, so it counts as ended."""
    process = spawn().Process(target=print)
    process.start()
    process.join(30)
    process.close()
    agents.register("a", owner=process)
    wait_until(lambda: "a" not in agents, "gone with its process")


def test_a_process_that_never_starts(agents: AgentRegistry) -> None:
    """Collected unstarted, it has ended."""
    agents.register("a", owner=spawn().Process(target=print))
    gc.collect()
    wait_until(lambda: "a" not in agents, "gone with its process")


def test_an_id_of_a_dead_owner_is_free(agents: AgentRegistry, records: list[Record]) -> None:
    """The next registration replaces the agent at once, in the records too."""

    class Session:
        pass

    session = Session()
    first = agents.register("a", owner=session, n=1)
    # The worker may find the end first; then the reason is the owner's.
    del session
    gc.collect()
    second = agents.register("a", owner=agents, n=2)
    assert agents.get("a") is second is not first
    steps = ("agent.registered", "agent.unregistered", "agent.registered")
    _, end, last = wait_for_steps(records, "a", *steps)
    assert end.attributes["reason"] in {"replaced", "owner-collected"}
    assert last.attributes == {"n": 2}


def test_a_thread_of_ten_thousand_agents(agents: AgentRegistry) -> None:
    """All go with it, whatever else is registered."""
    agents.register("mine")
    on_thread(lambda: [agents.register(f"{number}") for number in range(10_000)])
    wait_until(lambda: len(agents) == 1, "all are gone")


def test_many_objects_are_asked_in_turn(agents: AgentRegistry) -> None:
    """However many owners must be asked, each has its turn."""

    class Session:
        pass

    sessions = [Session() for _ in range(2_000)]
    for number in range(2_000):
        agents.register(f"{number}", owner=sessions[number])
    del sessions[1_000:]
    wait_until(lambda: len(agents) == 1_000, "those without an owner are gone")
    del sessions[:]
    wait_until(lambda: len(agents) == 0, "all are gone")
