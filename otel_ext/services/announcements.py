"""Writes what happens in registries as events, on the shared worker.

A registration costs its caller one append to a queue. Every 0.1 s the worker asks the
registries for owners that have ended, then emits and records what the queue holds, in order.
Entries that live are recorded again for a destination that is set up after them.
"""

from __future__ import annotations

import weakref
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeAlias

from otel_ext.events.bus import emit
from otel_ext.inflight.event_records import write_event
from otel_ext.inflight.tracker import event_senders
from otel_ext.record.entities import Entity
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import shut_down_at_exit
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.inflight.event_records import Origin
    from otel_ext.inflight.tracker import Tracker
    from otel_ext.runtime.worker import Job

__all__ = [
    "ADDED",
    "GONE",
    "PAUSES",
    "READY",
    "Announcement",
    "Announcer",
    "Entry",
    "Registry",
    "announcer",
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
_MAX_QUEUED: Final = 100_000
# The queue takes the end of an entry for longer: without it readers would show it for ever.
_MAX_QUEUED_ENDS: Final = 2 * _MAX_QUEUED
# How long one run of the job writes, in seconds; the other jobs wait meanwhile.
_WRITE_SECONDS: Final = 0.02
_EXIT_SECONDS: Final = 1.0
# With so many appends to the queue, the worker's thread is looked after again.
_ENSURE_EVERY: Final = 64
# The reason of an entry that is recorded once more, for a new destination.
_REPEATED: Final = "repeated"


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

    def is_written_as(self, step: int) -> bool:
        """Return whether the step is the latest one written, of an entry that lives."""
        return self._written == step and self.is_live()

    def missing_step(self) -> int:
        """Return the step that is to be written yet; 0 if none is."""
        step = self.step()
        return step if self._written < step and self.is_live() else 0


Announcement: TypeAlias = tuple[Entry, int, str]
"""An entry, the step in its life, and for its end the reason. A plain tuple is made quickest."""


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
    """Queues announcements and writes them in order; a forked child starts with none."""

    def __init__(self, max_queued: int = _MAX_QUEUED, max_ends: int = _MAX_QUEUED_ENDS) -> None:
        self._max_queued, self._max_ends = max_queued, max_ends
        self._jobs: dict[str, Job] = {}
        # Adding and removing a registry are each one call of a dict's method.
        self._registries: dict[int, weakref.ref[Registry]] = {}
        self._destinations: weakref.WeakSet[Tracker] = weakref.WeakSet()
        self._queue: deque[Announcement] = deque()
        self._has_gaps = False
        self._cell = HealthCell("registries")
        after_fork_in_child(self._reset)
        shut_down_at_exit(self.flush)

    def add(self, announcement: Announcement) -> None:
        """Queue an announcement; one too many is dropped and counted."""
        queue = self._queue
        size = len(queue)
        if size >= self._max_queued and (announcement[1] < GONE or size >= self._max_ends):
            self._drop()
            return
        queue.append(announcement)
        if not size % _ENSURE_EVERY:
            self._ensure_job()

    def watch(self, registry: Registry) -> None:
        """Ask `registry` for ended owners from now on, until it is empty or collected."""
        self._registries[id(registry)] = weakref.ref(registry)
        registry.is_watched = True
        self._ensure_job()

    def flush(self) -> None:
        """Write all that is queued, on the worker's thread; waits up to a second."""
        # Also with an empty queue: the worker may be writing what was the last in it.
        if self._queue or self._jobs:
            shared_worker().submit(self._write, _EXIT_SECONDS, is_left=True).wait(_EXIT_SECONDS)

    def run(self) -> None:
        """Check owners and write what is queued; the worker calls it every 0.1 s."""
        registries = self._living()
        self._repeat_for_new_destinations(registries)
        for registry in registries:
            registry.check_owners()
        self._write(_WRITE_SECONDS)
        if self._has_gaps and not self._queue:
            self._fill_gaps(registries)
        for registry in registries:
            self._let_rest(registry)
        job = self._jobs.get("job")
        if job is None:
            return
        if self._queue:
            job.wake()
        elif not self._registries:
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
        if self._queue or self._registries:
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

    def _repeat_for_new_destinations(self, registries: Iterable[Registry]) -> None:
        new = [sender for sender in event_senders() if sender not in self._destinations]
        if not new:
            return
        self._destinations.update(new)
        for registry in registries:
            for entry in registry.entries():
                step = entry.step()
                if entry.is_written_as(step):
                    self._queue.append((entry, step, _REPEATED))

    def _fill_gaps(self, registries: Iterable[Registry]) -> None:
        """Announce the living entries whose announcement was dropped."""
        self._has_gaps = False
        for registry in registries:
            for entry in registry.entries():
                if step := entry.missing_step():
                    self._queue.append((entry, step, ""))
        dropped = COUNTERS.value("registries.dropped")
        self._cell.healthy(f"{dropped} events were dropped before")

    def _drop(self) -> None:
        COUNTERS.add("registries.dropped")
        self._has_gaps = True
        dropped = COUNTERS.value("registries.dropped")
        self._cell.degraded(f"{dropped} events dropped: {self._max_queued:,} wait to be written")

    def _write(self, seconds: float) -> None:
        queue, until = self._queue, monotonic() + seconds
        while queue and monotonic() < until:
            try:
                announcement = queue.popleft()
            except IndexError:  # the exit writes the rest on another thread
                break
            try:
                _write_one(announcement)
            except Exception as error:  # noqa: BLE001 - the others go on
                report_problem("an event of a registry is not recorded", error)

    def _reset(self) -> None:
        """Forget the queue and the registries, which register again with their first entry."""
        self._queue = deque()
        self._registries = {}
        self._destinations = weakref.WeakSet()
        self._has_gaps = False


def _write_one(announcement: Announcement) -> None:
    entry, step, reason = announcement
    is_repeated = reason is _REPEATED
    if not (entry.is_written_as(step) if is_repeated else entry.advance(step)):
        return
    name, entity_id = f"{entry.kind}.{_VERBS[step]}", entry.entity_id()
    attributes = entry.attributes(step)
    if step == GONE:
        attributes["reason"] = reason
    if not is_repeated:
        emit(name, metadata={**attributes, "id": entity_id})
    entity = Entity(entry.kind, entity_id, deleted=step == GONE)
    write_event(name, attributes, entity=entity, origin=entry.origin())


_shared: Final[dict[str, Announcer]] = {}


def announcer() -> Announcer:
    """Return the announcer of this process.

    >>> announcer() is announcer()
    True
    """
    return _shared.get("announcer") or _shared.setdefault("announcer", Announcer())
