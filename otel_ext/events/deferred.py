"""`DeferredEvents`: emits and records events on the shared worker, for callers that must not wait.

Who defers an event appends it to a queue. Every 0.1 s, before each flush and at the exit, the
worker makes the queued events, writes their records, and lets a thread of the bus emit them:
a subscriber may run on the thread that emits, and may hang.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.events.bus import emit_later, has_subscribers
from otel_ext.events.subscription import running_subscriptions
from otel_ext.inflight.event_records import introduce_entities, write_event
from otel_ext.inflight.origin import NOWHERE
from otel_ext.record.model import EMPTY
from otel_ext.runtime.before_flush import before_flush
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import is_exiting, shut_down_at_exit
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.isolated import IsolatedThread
from otel_ext.runtime.weak_method import WeakMethods
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_ext.events.subscription import Subscription
    from otel_ext.inflight.origin import Origin
    from otel_ext.record.entities import Entity
    from otel_ext.runtime.worker import Job

__all__ = ["DeferredEvent", "DeferredEvents", "deferred_events"]

_INTERVAL: Final = 0.1
_MAX_QUEUED: Final = 100_000
# How long one run of the job writes, in seconds; the other jobs wait meanwhile.
_WRITE_SECONDS: Final = 0.02
_FLUSH_SECONDS: Final = 0.5
# How many events the thread of the bus may have before it, and how long a call may take.
_MAX_EMITTED: Final = 1_000
_HANGING_SECONDS: Final = 10.0
# After so many events it is looked again whether the worker's thread runs.
_ENSURE_EVERY: Final = 64


class DeferredEvent(NamedTuple):
    """One event, as subscribers and the records get it.

    Attributes:
        name: Its name, such as `agent.registered`.
        measurements: Numbers, for subscribers and the record.
        metadata: Facts for subscribers; for the record too, unless `recorded` has others.
        entity: The entity that it is about, if it is about one.
        origin: Where it comes from, or who owns the entity.
        recorded: The facts in the record.
        is_emitted: Whether subscribers get it.
    """

    name: str
    measurements: Mapping[str, float] = EMPTY  # type: ignore[assignment]
    metadata: Mapping[str, object] = EMPTY
    entity: Entity | None = None
    origin: Origin = NOWHERE
    recorded: Mapping[str, object] | None = None
    is_emitted: bool = True


Made: TypeAlias = "DeferredEvent | Sequence[DeferredEvent] | None"


class DeferredEvents:
    """Queues events and writes them in order; a forked child starts with none.

    At most 100,000 wait; further ones are dropped and counted under `dropped.deferred`.
    """

    _queue: deque[tuple[Callable[..., Made], tuple[object, ...], tuple[Subscription, ...]]]

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._sources = WeakMethods()
        self._cell = HealthCell("deferred events")
        self._bus = IsolatedThread("deferred events", stays=False)
        self._reset()
        after_fork_in_child(self._reset)
        before_flush(self.write_now)
        shut_down_at_exit(self.write_now)

    def add(self, make: Callable[..., Made], *arguments: object) -> bool:
        """Queue an event; return False if there is no room for it.

        Args:
            make: Called by the worker with `arguments`; returns the event, several, or None.
            arguments: What it needs of this moment.
        """
        queue = self._queue
        size = len(queue)
        if size >= _MAX_QUEUED:
            COUNTERS.add("dropped.deferred")
            self._cell.degraded(f"events are dropped: {size:,} wait to be written")
            return False
        # A handler does not get the events that it makes, or that would never end.
        queue.append((make, arguments, running_subscriptions()))
        if not size % _ENSURE_EVERY:
            self._ensure()
        return True

    def flush(self, timeout: float = _FLUSH_SECONDS) -> bool:
        """Wait until what is queued has been written and emitted.

        Args:
            timeout: How long to wait, in seconds.

        Returns:
            Whether that was in time.
        """
        until = monotonic() + timeout
        call = shared_worker().submit(self._write, timeout, is_left=True)
        return call.wait(timeout) and self._bus.submit(tuple).wait(max(until - monotonic(), 0.0))

    def add_source(self, take: Callable[[], None]) -> None:
        """Call the bound method `take`, which queues what it has, before each flush.

        Args:
            take: Quick; held weakly.
        """
        self._sources.add(take)

    def write_now(self) -> None:
        """Write and emit what is queued; waits half a second at most."""
        for take in self._sources.living():
            take()
        if self._queue or not self._bus.is_idle:
            self.flush()

    def _ensure(self) -> None:
        if is_exiting():  # the worker's thread may have ended
            self._write(_FLUSH_SECONDS)
            return
        worker = shared_worker()
        if not self._jobs:
            job = worker.every(_INTERVAL, self.run, "deferred events")
            # Two threads may be here; setdefault is one step.
            if self._jobs.setdefault("job", job) is not job:
                job.cancel()
        worker.ensure()

    def run(self) -> None:
        """Write some of what is queued; for the worker only."""
        introduce_entities()
        self._write(_WRITE_SECONDS)
        job = self._jobs.get("job")
        if job is not None and self._queue:
            job.wake()
        elif self._cell.report().state != "healthy":
            self._cell.healthy("events were dropped before")

    def _write(self, seconds: float) -> None:
        queue, until = self._queue, monotonic() + seconds
        while queue and monotonic() < until:
            try:
                make, arguments, makers = queue.popleft()
            except IndexError:  # a flush writes the rest on another thread
                break
            try:
                made = make(*arguments)
                for event in (made,) if isinstance(made, DeferredEvent) else made or ():
                    self._write_one(event, makers)
            except Exception as error:  # noqa: BLE001 - the others go on
                report_problem("a deferred event is not recorded", error)

    def _write_one(self, event: DeferredEvent, makers: Sequence[Subscription]) -> None:
        facts = event.metadata if event.recorded is None else event.recorded
        write_event(
            event.name, {**facts, **event.measurements}, entity=event.entity, origin=event.origin
        )
        if event.is_emitted and has_subscribers(event.name):
            self._emit(event, makers)

    def _emit(self, event: DeferredEvent, makers: Sequence[Subscription]) -> None:
        """Let the bus's thread emit an event; a call that hangs in a subscriber is left behind."""
        if self._bus.busy_seconds > _HANGING_SECONDS:
            self._bus.abandon()
        if self._bus.queued >= _MAX_EMITTED:
            COUNTERS.add("events.dropped")
            return
        facts = event.name, event.measurements, event.metadata, makers
        self._bus.submit(emit_later, *facts, is_left=True)

    def _reset(self) -> None:
        """Forget what waits, which the parent of a forked child writes."""
        self._queue = deque()


_shared: Final[dict[str, DeferredEvents]] = {}


def deferred_events() -> DeferredEvents:
    """Return the queue of this process.

    >>> deferred_events() is deferred_events()
    True
    """
    return _shared.get("events") or _shared.setdefault("events", DeferredEvents())
