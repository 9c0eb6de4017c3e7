"""Measures the registries, each against a dict under its lock that keeps the same."""

from __future__ import annotations

import threading
from functools import partial
from time import perf_counter_ns, process_time_ns, sleep, thread_time_ns, time_ns
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from benchmarks.figures import ratios, summarise
from benchmarks.harness import Cost, rotations
from benchmarks.result import Result, Table
from otel_ext.services import AgentRegistry, ServiceRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Effort

__all__ = ["measure"]

_THREADS: Final = 64
_LISTED: Final = 10_000


class Registry(Protocol):
    """What all that is measured here can do."""

    def register(self, id: str, /, **metadata: object) -> object:  # noqa: A002 - as AgentRegistry
        """Register an agent."""

    def get(self, id: str, /) -> object:  # noqa: A002
        """Return an agent."""

    def unregister(self, id: str, /) -> bool:  # noqa: A002
        """Remove an agent."""
        ...


class LockedDict:
    """A registry as one writes it by hand: a dict under its lock, with who, what and when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[str, dict[str, object], threading.Thread, int]] = {}

    def register(self, id: str, /, **metadata: object) -> object:  # noqa: A002
        """Register an agent once."""
        entry = (id, metadata, threading.current_thread(), time_ns())
        with self._lock:
            if id in self._entries:
                raise KeyError(id)
            self._entries[id] = entry
        return entry

    def get(self, id: str, /) -> object:  # noqa: A002
        """Return an agent."""
        with self._lock:
            return self._entries[id]

    def unregister(self, id: str, /) -> bool:  # noqa: A002
        """Remove an agent."""
        with self._lock:
            return self._entries.pop(id, None) is not None


def measure(effort: Effort) -> Result:
    """Measure registration, look-up, 64 threads, and a long list."""
    result = Result(
        "registries",
        "Registries of agents and services",
        "Each against a registry by hand: a dict under its lock that keeps the metadata, the"
        " thread and the time of each agent. What the worker writes later is not in the figures of"
        " one thread, which are processor time of the caller; it is in those of 64 threads, which"
        " are processor time of all threads, or the time until all are done. The bare dict does"
        " `with lock: entries[id] = id` in a loop, without a call.",
    )
    rounds = effort.pick(full=31, quick=3, tiny=1)
    count = effort.pick(full=5_000, quick=1_000, tiny=20)
    _one_thread(result, rounds, count)
    _many_threads(result, rounds, effort.pick(full=200, quick=50, tiny=2))
    _long_list(result, rounds)
    return result


def _timed(work: Callable[[], object], count: int, clock: Callable[[], int]) -> float:
    begin = clock()
    work()
    return (clock() - begin) / count


class BareDict:
    """Nothing but a dict and its lock, used in a loop without a call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, str] = {}

    def put(self, names: list[str]) -> None:
        """Store all names."""
        lock, entries = self._lock, self._entries
        for name in names:
            with lock:
                entries[name] = name

    def look_up(self, names: list[str]) -> None:
        """Look all names up."""
        lock, entries = self._lock, self._entries
        for name in names:
            with lock:
                _ = entries[name]

    def clear(self, _: list[str]) -> None:
        """Remove all."""
        self._entries.clear()


class Steps(NamedTuple):
    """One of those that are compared: how it takes, finds and loses all names."""

    name: str
    register: Callable[[list[str]], None]
    look_up: Callable[[list[str]], None]
    remove: Callable[[list[str]], None]


def _all_steps() -> list[Steps]:
    bare, services = BareDict(), ServiceRegistry()

    def register_service(name: str) -> None:
        services.register(name, name)

    return [
        _steps("by hand", LockedDict()),
        _steps("AgentRegistry", AgentRegistry()),
        Steps(
            "ServiceRegistry",
            partial(_each, register_service),
            partial(_each, services.lookup),
            partial(_each, services.unregister),
        ),
        Steps("bare dict", bare.put, bare.look_up, bare.clear),
    ]


def _steps(name: str, registry: Registry) -> Steps:
    return Steps(
        name,
        partial(_register, registry),
        partial(_each, registry.get),
        partial(_each, registry.unregister),
    )


def _one_thread(result: Result, rounds: int, count: int) -> None:
    names = [f"agent-{number}" for number in range(count)]
    all_steps = _all_steps()
    costs: dict[str, list[float]] = {}
    for order in rotations(len(all_steps), rounds):
        for steps in [all_steps[index] for index in order]:
            for label, step in (("register", steps.register), ("look up", steps.look_up)):
                took = _timed(partial(step, names), count, thread_time_ns)
                costs.setdefault(f"{steps.name}: {label}", []).append(took)
            steps.remove(names)
            sleep(0.15)  # the worker writes what is queued
    rows = [[name, summarise(found).show(0)] for name, found in costs.items()]
    result.tables.append(Table("One thread", ["", "ns"], rows))
    for key, of, to in (
        ("register over by hand", "AgentRegistry: register", "by hand: register"),
        ("look up over by hand", "AgentRegistry: look up", "by hand: look up"),
        ("look up a service over by hand", "ServiceRegistry: look up", "by hand: look up"),
        ("register over a bare dict", "AgentRegistry: register", "bare dict: register"),
        ("look up over a bare dict", "AgentRegistry: look up", "bare dict: look up"),
    ):
        result.figures[key] = ratios(costs[of], costs[to])


def _register(registry: Registry, names: list[str]) -> None:
    register = registry.register
    for name in names:
        register(name, role="importer")


def _each(call: Callable[[str], object], names: list[str]) -> None:
    for name in names:
        call(name)


def _use(registry: Registry, number: int, count: int, start: threading.Barrier) -> None:
    start.wait()
    for step in range(count):
        name = f"{number}-{step}"
        registry.register(name, role="importer")
        for _ in range(10):
            registry.get(name)
        registry.unregister(name)


def _at_once(registry: Registry, threads: int, count: int) -> Cost:
    """Return what one turn of one thread takes, while all take their turns."""
    start = threading.Barrier(threads + 1)
    running = [
        threading.Thread(target=_use, args=(registry, number, count, start))
        for number in range(threads)
    ]
    for thread in running:
        thread.start()
    start.wait()
    cpu, wall = process_time_ns(), perf_counter_ns()
    for thread in running:
        thread.join()
    wall = perf_counter_ns() - wall
    sleep(0.15)  # the worker writes what is queued
    turns = threads * count
    return Cost(wall / turns, (process_time_ns() - cpu) / turns)


def _many_threads(result: Result, rounds: int, count: int) -> None:
    """Compare how much more a turn takes among 64 threads than alone."""
    cases: list[tuple[str, Registry]] = [
        ("by hand", LockedDict()),
        ("AgentRegistry", AgentRegistry()),
    ]
    alone: dict[str, list[Cost]] = {name: [] for name, _ in cases}
    among: dict[str, list[Cost]] = {name: [] for name, _ in cases}
    for order in rotations(2, rounds):
        for name, registry in [cases[index] for index in order]:
            alone[name].append(_at_once(registry, 1, count * 8))
            among[name].append(_at_once(registry, _THREADS, count))
    rows = [
        [f"{name}, {clock}", *(_summary(costs[name], clock) for costs in (alone, among))]
        for name in alone
        for clock in ("wall", "cpu")
    ]
    columns = ["register, look up ten times, unregister", "alone, ns", f"{_THREADS} threads, ns"]
    result.tables.append(Table("Threads at once", columns, rows))
    scales = {
        name: [many.cpu / one.cpu for many, one in zip(among[name], alone[name], strict=True)]
        for name in alone
    }
    key = "64 threads: slower than alone, over by hand"
    result.figures[key] = ratios(scales["AgentRegistry"], scales["by hand"])


def _summary(costs: list[Cost], clock: str) -> str:
    return summarise([cost.wall if clock == "wall" else cost.cpu for cost in costs]).show(0)


def _long_list(result: Result, rounds: int) -> None:
    agents = AgentRegistry()
    for number in range(_LISTED):
        agents.register(f"agent-{number}")
    sleep(0.15)
    found = [_timed(agents.list, 1, perf_counter_ns) / 1e6 for _ in range(rounds)]
    result.figures["list of 10,000, ms"] = figure = summarise(found)
    result.tables.append(Table("List of 10,000 agents", ["", "ms"], [["list", figure.show()]]))
