"""`AgentRegistry`: registration, look-up, errors, and what the records show."""

from __future__ import annotations

import datetime as dt
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import ConfigError
from otel_ext.events import subscribe
from otel_ext.events.deferred import deferred_events
from otel_ext.services import Agent, AgentRegistry, NotRegisteredError, default_agents
from tests.programs import in_child, python, succeed, wait_until, write_program
from tests.services.registries import about, wait_for_steps
from tests.threads import in_threads, numbered_threads, on_thread

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.events import Event
    from otel_ext.record.model import Record


def test_an_agent_is_found_until_it_is_unregistered(agents: AgentRegistry) -> None:
    """It is returned by id and in the list, in order of registration, and only once removed."""
    first = agents.register("b", role="importer", id="its own key")
    second = agents.register("a")
    assert agents.get("b") is first
    assert agents.list() == [first, second]
    assert (len(agents), "a" in agents, "c" in agents) == (2, True, False)
    assert first.metadata == {"role": "importer", "id": "its own key"}
    assert first.owner == "thread 'MainThread'"
    assert first.registered_ns <= second.registered_ns
    assert agents.unregister("b")
    assert not agents.unregister("b")
    assert agents.list() == [second]


def test_an_agent_cannot_be_changed(agents: AgentRegistry) -> None:
    """Its metadata is read-only, and so are its attributes."""
    agent = agents.register("a", n=1)
    with pytest.raises(TypeError):
        agent.metadata["n"] = 2  # type: ignore[index]
    for name in ("id", "metadata", "owner", "registered_ns", "other"):
        with pytest.raises(AttributeError):
            setattr(agent, name, "x")


def test_an_unknown_id_names_the_nearest(agents: AgentRegistry) -> None:
    """The error of `get` is a ConfigError and a LookupError, with a known id near it."""
    agents.register("importer-1")
    for number in range(5_000):
        agents.register(f"{number:0200}")
    with pytest.raises(NotRegisteredError, match="'imprter-1'.*Did you mean 'importer-1'") as found:
        agents.get("imprter-1")
    assert isinstance(found.value, ConfigError)
    assert isinstance(found.value, LookupError)
    with pytest.raises(NotRegisteredError, match="Register it first"):
        agents.get("entirely different")


@pytest.mark.parametrize("wrong", ["", "x" * 201, 7, None, b"a", ["a"]])
def test_a_wrong_id_is_refused(agents: AgentRegistry, wrong: str) -> None:
    """It is neither registered nor found, and no other kind of error comes."""
    with pytest.raises(ConfigError, match="Use 1 to 200 characters"):
        agents.register(wrong)
    with pytest.raises(NotRegisteredError):
        agents.get(wrong)
    assert not agents.unregister(wrong)
    assert agents.list() == []


class Text(str):
    """Text with a hostile hash and comparison."""

    __slots__ = ()

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


def test_hostile_ids_and_metadata(agents: AgentRegistry, records: list[Record]) -> None:
    """Subclasses of `str`, surrogates and values without JSON are registered and recorded."""

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    endless: dict[str, object] = {}
    endless["self"] = endless
    agents.register(Text("plain"), value=Hostile(), endless=endless, nan=float("nan"))
    assert type(agents.get("plain").id) is str
    agents.register("\ud800\n", password="hunter2")  # noqa: S106 - to be redacted
    (record,) = wait_for_steps(records, "plain", "agent.registered")
    assert set(record.attributes) == {"value", "endless", "nan"}


class Zone(dt.tzinfo):
    """A time zone with code of the program."""

    def __init__(self, ran_on: list[int]) -> None:
        self.ran_on = ran_on

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        """Note who asks."""
        self.ran_on.append(threading.get_ident())
        return dt.timedelta(hours=1)

    def tzname(self, _: dt.datetime | None) -> str:
        """Return its name."""
        return "own"

    def dst(self, _: dt.datetime | None) -> None:
        """Know nothing about it."""


def test_metadata_run_no_code_on_the_worker(agents: AgentRegistry, records: list[Record]) -> None:
    """Values become plain on the thread that registers: one that hangs would stop the worker."""
    ran_on: list[int] = []

    class Job:
        def __str__(self) -> str:
            ran_on.append(threading.get_ident())
            return "a job"

    at, day = dt.datetime(2024, 1, 1, tzinfo=Zone(ran_on)), dt.date(2024, 1, 2)
    agents.register("a", job=Job(), within=[Job()], at=at, day=day, raw=b"x")
    (record,) = wait_for_steps(records, "a", "agent.registered")
    assert record.attributes["job"] == "a job"
    assert record.attributes["within"] == ["a job"]
    assert str(record.attributes["at"]).startswith("2024-01-01")
    assert agents.get("a").metadata["day"] == day
    assert agents.get("a").metadata["raw"] == b"x"
    assert set(ran_on) == {threading.get_ident()}


def test_metadata_are_a_copy(agents: AgentRegistry, records: list[Record]) -> None:
    """What changes in them later is not seen."""
    tags = {"a": [1]}
    agent = agents.register("a", tags=tags)
    tags["a"].append(2)
    tags["b"] = []
    assert agent.metadata == {"tags": {"a": [1]}}
    (record,) = wait_for_steps(records, "a", "agent.registered")
    assert record.attributes == {"tags": {"a": [1]}}


def test_a_second_registration_says_who_has_the_id(agents: AgentRegistry) -> None:
    """The error names the thread, the process, the time and the way out; the first one stays."""
    stop, is_there = threading.Event(), threading.Event()

    def own() -> None:
        agents.register("a")
        is_there.set()
        stop.wait(30)

    thread = threading.Thread(target=own, name="worker-7")
    thread.start()
    assert is_there.wait(30)
    text = r"'a' is registered already, by thread 'worker-7' of process \d+, since \d{4}-.*Z"
    with pytest.raises(ConfigError, match=rf"{text}.*context\.life"):
        agents.register("a")
    assert agents.get("a").owner == "thread 'worker-7'"
    stop.set()
    thread.join()


def test_events_of_an_agent(agents: AgentRegistry, records: list[Record]) -> None:
    """Both steps are recorded in order, with metadata, owner and reason, and are on the bus."""
    heard: list[Event] = []
    with subscribe("agent.*", heard.append, inline=True):
        agents.register("a", role="x")
        agents.unregister("a")
        first, last = wait_for_steps(records, "a", "agent.registered", "agent.unregistered")
    assert first.attributes == {"role": "x"}
    assert first.extra["entity"] == {"type": "agent", "id": "a"}
    assert first.thread is not None
    assert first.thread.id == threading.get_ident()
    assert last.attributes == {"role": "x", "reason": "unregistered"}
    assert last.extra["entity"] == {"type": "agent", "id": "a", "deleted": True}
    assert first.seq < last.seq
    assert [(event.name, event.metadata) for event in heard] == [
        ("agent.registered", {"role": "x", "id": "a"}),
        ("agent.unregistered", {"role": "x", "reason": "unregistered", "id": "a"}),
    ]


def test_only_one_thread_gets_an_id(agents: AgentRegistry, records: list[Record]) -> None:
    """Eight threads that want the same ids get each once, and the records agree with that."""
    got: list[str] = []
    refused: list[str] = []
    start, end = threading.Barrier(8), threading.Barrier(8)

    def register(_: int) -> None:
        start.wait()
        for number in range(200):
            try:
                agents.register(f"agent-{number}")
            except ConfigError:
                refused.append(f"agent-{number}")
            else:
                got.append(f"agent-{number}")
        end.wait()  # until here each owner lives

    numbered_threads(8, register)
    assert sorted(got) == sorted(f"agent-{number}" for number in range(200))
    assert len(refused) == 1_400
    wait_until(lambda: not agents.list(), "all owners ended")
    for name in got:
        wait_for_steps(records, name, "agent.registered", "agent.unregistered")


def test_registrations_and_removals_at_once(agents: AgentRegistry, records: list[Record]) -> None:
    """However threads race for few ids, the newest record of each says whether it is there."""

    def churn(_: int) -> None:
        for number in range(600):
            name = f"churn-{number % 3}"
            try:
                agents.register(name, owner=agents)
            except ConfigError:
                agents.unregister(name)

    numbered_threads(8, churn)
    names = [f"churn-{number}" for number in range(3)]
    deferred_events().write_now()
    for name in names:
        wait_until(partial(about, records, name), name)
        if name not in agents:
            agents.register(name, owner=agents)
        agents.unregister(name)
    agents.register("the last", owner=agents)
    wait_for_steps(records, "the last", "agent.registered")
    assert [about(records, name)[-1].name for name in names] == ["agent.unregistered"] * 3
    removals = [record for name in names for record in about(records, name)]
    assert len({record.seq for record in removals}) == len(removals)


def test_an_agent_of_a_thread_goes_with_it(agents: AgentRegistry, records: list[Record]) -> None:
    """The registry forgets it, with the reason in the records."""
    on_thread(lambda: agents.register("a", n=1), name="short")
    wait_until(lambda: "a" not in agents, "the agent is gone")
    first, last = wait_for_steps(records, "a", "agent.registered", "agent.unregistered")
    assert last.attributes == {"n": 1, "reason": "owner-thread-ended"}
    assert first.thread is not None
    assert first.thread.name == "short"


def test_agents_before_the_first_destination(agents: AgentRegistry) -> None:
    """A destination that is set up later gets the agents that live, once."""
    from tests.global_provider import recording_globally  # noqa: PLC0415 - after the agents

    agents.register("early", n=1)
    agents.register("gone")
    agents.unregister("gone")
    deferred_events().write_now()
    with recording_globally() as capture:
        (record,) = wait_for_steps(capture.records, "early", "agent.registered")
        agents.register("late")
        wait_for_steps(capture.records, "late", "agent.registered")
        assert about(capture.records, "gone") == []
    assert record.attributes == {"n": 1}


def test_a_registry_that_is_dropped(records: list[Record]) -> None:
    """Its agents do not stay in the records."""
    registry = AgentRegistry()
    registry.register("dropped")
    wait_for_steps(records, "dropped", "agent.registered")
    del registry
    _, last = wait_for_steps(records, "dropped", "agent.registered", "agent.unregistered")
    assert last.attributes == {"reason": "registry-collected"}


@pytest.mark.forks
def test_a_forked_child_has_no_agents_of_its_parent(agents: AgentRegistry) -> None:
    """It can use the same ids, and its owners are its own."""
    agents.register("a", n=1)

    def child() -> str:
        before = list(agents.list())
        mine = agents.register("a", n=2)
        on_thread(lambda: agents.register("of a thread"))
        wait_until(lambda: "of a thread" not in agents, "the thread's agent is gone")
        return f"{before} {[agent is mine for agent in agents.list()]}"

    assert in_child(child) == "[] [True]"
    assert agents.get("a").metadata == {"n": 1}


FORK_IN_C = """\
import ctypes, os, sys
from types import SimpleNamespace
from otel_ext.services import AgentRegistry, NotRegisteredError, ServiceRegistry

agents, services = AgentRegistry(), ServiceRegistry()
# Without threads, since such a child has the interpreter lock as it was.
quiet = SimpleNamespace(add=lambda *_: None, watch=lambda _: None)
agents._announcer = services._table._announcer = quiet
agents.register("a")
services.register("db", 1)
looks = {
    "list": agents.list,
    "get": lambda: agents.get("a"),
    "unregister": lambda: agents.unregister("a"),
    "names": services.names,
    "lookup": lambda: services.lookup("db"),
    "ready": lambda: services.is_ready("db"),
    "wait": lambda: services.wait_for("db", 0),
}
for name, look in looks.items():
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        try:
            found = look()
        except Exception as error:
            found = type(error).__name__
        print(name, found, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks in C")
def test_a_child_forked_in_c_sees_none_of_its_parent(tmp_path: Path) -> None:
    """Each look-up notices that the process is another one, although no fork hook ran."""
    done = succeed(python(write_program(tmp_path, FORK_IN_C)), tmp_path)
    assert done.out.splitlines() == [
        "list []",
        "get NotRegisteredError",
        "unregister False",
        "names []",
        "lookup NotRegisteredError",
        "ready False",
        "wait NotReadyError",
    ]


def test_the_default_registry_is_shared() -> None:
    """All threads get the same one."""
    found: list[AgentRegistry] = []
    in_threads(*[lambda: found.append(default_agents())] * 8)
    assert set(map(id, found)) == {id(default_agents())}


def test_a_snapshot_is_not_disturbed(agents: AgentRegistry) -> None:
    """While threads register and unregister, a list has only agents, each once."""
    stop = threading.Event()
    seen: list[list[Agent]] = []

    def churn(number: int) -> None:
        for turn in range(1_000):
            agents.register(f"{number}-{turn}", owner=agents)
            if turn % 2:
                agents.unregister(f"{number}-{turn}")
        if number == 0:
            stop.set()

    def look() -> None:
        while not stop.is_set():
            seen.append(agents.list())

    in_threads(*[lambda number=number: churn(number) for number in range(7)], look)
    assert all(len({agent.id for agent in found}) == len(found) for found in seen)
    assert len(agents.list()) == 7 * 500
