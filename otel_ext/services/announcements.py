"""Announces what happens in registries as events, without delay for their callers.

A registration costs its caller one append to the queue of deferred events. Every 0.1 s the
worker asks the registries for owners that have ended.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from otel_ext.events.deferred import DeferredEvent, deferred_events
from otel_ext.events.plain_values import is_plain
from otel_ext.record.entities import Entity
from otel_ext.record.sanitise.budget import Budget
from otel_ext.record.sanitise.walk import Walker
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.inflight.origin import Origin
    from otel_ext.runtime.worker import Job

__all__ = [
    "ADDED",
    "GONE",
    "PAUSES",
    "READY",
    "Announcer",
    "Entry",
    "Registry",
    "announcer",
    "plain_facts",
]

ADDED: Final = 1
READY: Final = 2
GONE: Final = 3
"""The steps in the life of an entry, in order."""
PAUSES: Final = (*[0.0] * 10, *[0.001] * 200)
"""The pauses of a registration while another thread removes the entry before it, in seconds.

That takes microseconds, unless an interrupt has ended that thread.
"""

_VERBS: Final = {ADDED: "registered", READY: "ready", GONE: "unregistered"}
_INTERVAL: Final = 0.1
_MAX_LATE_ENDS: Final = 100_000


def plain_facts(facts: dict[str, object]) -> dict[str, object]:
    """Return a copy of metadata as plain data, since the worker must run no code of the program.

    >>> plain_facts({"role": "importer", "sizes": (1, 2), "kind": ValueError})
    {'role': 'importer', 'sizes': [1, 2], 'kind': "<class 'ValueError'>"}
    """
    walker = Walker(Budget())
    return {
        str.__str__(name): value if is_plain(value) else walker.value(value)
        for name, value in facts.items()
    }


class Entry:
    """Something registered, with what its event records need; the base of agents and services."""

    __slots__ = ("_live", "_written")
    kind: ClassVar[str] = ""

    def __init__(self) -> None:
        self._written = 0
        self._live = True

    def entity_id(self) -> str:
        """Return the id of the entity in the records."""
        raise NotImplementedError

    def attributes(self, step: int) -> dict[str, object]:
        """Return the attributes of the event of a step."""
        raise NotImplementedError

    def origin(self) -> Origin:
        """Return what owns it."""
        raise NotImplementedError

    def step(self) -> int:
        """Return the latest step of an entry that is not gone."""
        return ADDED

    def is_live(self) -> bool:
        """Return whether it has not been removed."""
        return hasattr(self, "_live")

    def end(self) -> bool:
        """Claim its removal; True for one caller only, whichever threads call."""
        try:
            # One step of the interpreter, which a second thread cannot do again.
            del self._live
        except AttributeError:
            return False
        return True

    def advance(self, step: int) -> bool:
        """Note that a step is written; False if that or a later one was. For the worker only.

        Threads that change an entry at the same time may queue the steps in another order.
        """
        if step <= self._written:
            return False
        self._written = step
        return True

    def missing_step(self) -> int:
        """Return the step that is to be written yet; 0 if none is."""
        step = self.step()
        return step if self._written < step and self.is_live() else 0


class Registry(Protocol):
    """What the worker asks of a registry.

    Attributes:
        is_watched: Whether the worker asks it; a registry that is empty for long is not.
    """

    is_watched: bool

    def entries(self) -> Iterable[Entry]:
        """Return the entries at one moment."""
        ...

    def check_owners(self) -> None:
        """Remove the entries whose owner has ended."""
        ...


class Announcer:
    """Queues the steps of entries as events; a forked child starts with none.

    Args:
        add: Queues an event; returns whether there is room for it.
    """

    def __init__(self, add: Callable[..., bool] | None = None) -> None:
        self._add = deferred_events().add if add is None else add
        self._jobs: dict[str, Job] = {}
        # Adding and removing a registry are each one call of a dict's method.
        self._registries: dict[int, weakref.ref[Registry]] = {}
        self._late_ends: deque[tuple[Entry, str]] = deque(maxlen=_MAX_LATE_ENDS)
        self._has_gaps = False
        self._cell = HealthCell("registries")
        after_fork_in_child(self._reset)

    def add(self, entry: Entry, step: int, reason: str = "") -> None:
        """Queue a step of an entry; one too many is counted, and announced later if it can be."""
        # While one waits the next ones do too: else the next entry of an id could come before
        # the end of the last one.
        if self._has_gaps or self._late_ends or not self._add(_event_of, entry, step, reason):
            self._note_gap(entry, step, reason)

    def watch(self, registry: Registry) -> None:
        """Ask `registry` for ended owners from now on, until it is empty or collected."""
        self._registries[id(registry)] = weakref.ref(registry)
        registry.is_watched = True
        self._ensure_job()

    def run(self) -> None:
        """Check owners, and announce what did not fit; the worker calls it every 0.1 s."""
        registries = self._living()
        for registry in registries:
            registry.check_owners()
        if self._has_gaps:
            self._fill_gaps()
        for registry in registries:
            self._let_rest(registry)
        job = self._jobs.get("job")
        if job is not None and not self._registries and not self._has_gaps:
            self._stop(job)

    def _ensure_job(self) -> None:
        worker = shared_worker()
        if not self._jobs:
            job = worker.every(_INTERVAL, self.run, "registries")
            if self._jobs.setdefault("job", job) is not job:
                job.cancel()
        worker.ensure()

    def _stop(self, job: Job) -> None:
        """Cancel the job until there is something to do, which may come at this moment."""
        self._jobs.clear()
        job.cancel()
        if self._registries or self._has_gaps:
            self._ensure_job()

    def _let_rest(self, registry: Registry) -> None:
        """Watch an empty registry no longer; one that is not empty any more is watched again."""
        if any(True for _ in registry.entries()):
            return
        # In this order: who registers something later finds the mark and calls `watch`.
        self._registries.pop(id(registry), None)
        registry.is_watched = False
        if any(True for _ in registry.entries()):
            self.watch(registry)

    def _living(self) -> list[Registry]:
        found: list[Registry] = []
        for number, reference in self._registries.copy().items():
            registry = reference()
            if registry is not None:
                found.append(registry)
            elif self._registries.get(number) is reference:
                self._registries.pop(number, None)
        return found

    def _note_gap(self, entry: Entry, step: int, reason: str) -> None:
        COUNTERS.add("registries.late")
        # Without its end readers would show an entry for as long as the process runs.
        if step == GONE:
            self._late_ends.append((entry, reason))
        self._has_gaps = True
        self._cell.degraded("too many events wait to be written: some come late")
        self._ensure_job()

    def _fill_gaps(self) -> None:
        """Announce what did not fit into the queue, as far as there is room now."""
        while self._add_ends():
            # Before the entries are looked at: a gap that is noted later stays noted.
            self._has_gaps = False
            if not self._late_ends:
                break
        else:
            self._has_gaps = True
            return
        if not all(map(self._add_missing, self._living())):
            self._has_gaps = True
        elif not self._has_gaps:
            self._cell.healthy("some events came late before")

    def _add_ends(self) -> bool:
        ends = self._late_ends
        while ends:
            entry, reason = ends[0]
            if not self._add(_event_of, entry, GONE, reason):
                return False
            ends.popleft()
        return True

    def _add_missing(self, registry: Registry) -> bool:
        entries = list(registry.entries())
        # An end that has come since may be of the entry that had the id of one of these.
        if self._late_ends:
            return False
        for entry in entries:
            step = entry.missing_step()
            if step and not self._add(_event_of, entry, step, ""):
                return False
        return True

    def _reset(self) -> None:
        """Forget the registries, which register again with their first entry."""
        self._registries = {}
        self._late_ends = deque(maxlen=_MAX_LATE_ENDS)
        self._has_gaps = False
        self._cell.healthy()


def _event_of(entry: Entry, step: int, reason: str) -> DeferredEvent | None:
    """Return the event of a step; None if that or a later one was written."""
    if not entry.advance(step):
        return None
    entity_id = entry.entity_id()
    facts = entry.attributes(step)
    if step == GONE:
        facts["reason"] = reason
    return DeferredEvent(
        f"{entry.kind}.{_VERBS[step]}",
        metadata={**facts, "id": entity_id},
        entity=Entity(entry.kind, entity_id, deleted=step == GONE),
        origin=entry.origin(),
        recorded=facts,
    )


_shared: Final[dict[str, Announcer]] = {}


def announcer() -> Announcer:
    """Return the announcer of this process.

    >>> announcer() is announcer()
    True
    """
    return _shared.get("announcer") or _shared.setdefault("announcer", Announcer())
