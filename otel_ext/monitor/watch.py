"""`Watch`: looks at spans and memory, and decides which alerts there are."""

from __future__ import annotations

from collections import deque
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.events.bus import subscribe
from otel_ext.events.event import Event
from otel_ext.inflight.heartbeat import memory_bytes
from otel_ext.inflight.table import open_spans
from otel_ext.monitor.alert import Alert
from otel_ext.monitor.alert_queue import AlertQueue
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.events.subscription import Subscription
    from otel_ext.monitor.alert_queue import Key
    from otel_ext.monitor.thresholds import Thresholds
    from otel_ext.runtime.worker import Job

__all__ = ["MemorySample", "Options", "Watch"]

_MOST_OPEN: Final = 10_000
_MOST_OPERATIONS: Final = 1_000
_CHECK_SECONDS: Final = 1.0
# Looking at open spans may take 1/50 of one processor, however many there are.
_OPEN_BUDGET: Final = 50.0
_MEMORY: Final = ("memory",)
# Put among the events of spans, so that one thread sees both.
_CHECK: Final = Event("performance.check")


class MemorySample(NamedTuple):
    """How much memory the process used at a moment.

    Attributes:
        time_ns: The moment, nanoseconds since the epoch.
        used_bytes: Its resident set size in bytes; 0 where the system does not say it.
    """

    time_ns: int
    used_bytes: int


class Options(NamedTuple):
    """What a `PerformanceMonitor` alerts about; it describes them.

    Attributes:
        thresholds: How long operations may take.
        after: How many of the last `window` spans have to be slow.
        window: How many spans of an operation count.
        per_minute: How many alerts are delivered in a minute.
        memory_bytes: How much memory the process may use; None for no limit.
    """

    thresholds: Thresholds
    after: int
    window: int
    per_minute: int
    memory_bytes: int | None


class Watch:
    """Watches from `begin` to `end`; a forked child goes on with what is its own.

    All but these two run on the thread of one subscription. A call of `deliver` that hangs
    there keeps this object for itself: the next start of the monitor makes a new one.

    Args:
        options: What is watched.
        deliver: Called with each alert.
        take_sample: Called with each sample of the memory.
    """

    def __init__(
        self,
        options: Options,
        deliver: Callable[[Alert], object],
        take_sample: Callable[[MemorySample], object],
    ) -> None:
        self._options = options
        self._deliver = deliver
        self._take_sample = take_sample
        self._subscription: Subscription | None = None
        self._job: Job | None = None
        self._reset()
        after_fork_in_child(self._reset)

    @property
    def has_ended(self) -> bool:
        """Whether `end` was called, or a call that hung has ended it."""
        return self._subscription is not None and not self._subscription.active

    def begin(self) -> None:
        """Begin to watch."""
        self._subscription = subscribe("span.stop", self._take)
        self._job = shared_worker().every(_CHECK_SECONDS, self._ask, "performance")
        shared_worker().ensure()  # memory is watched before the first span, too

    def end(self, timeout: float) -> None:
        """Watch no longer, after waiting up to `timeout` seconds for the spans so far."""
        self.flush(timeout)
        if self._job is not None:
            self._job.cancel()
        if self._subscription is not None:
            self._subscription.cancel()

    def flush(self, timeout: float) -> bool:
        """Wait until all spans so far are looked at; return whether that was in time."""
        return self._subscription is None or self._subscription.flush(timeout)

    def _reset(self) -> None:
        """Know nothing yet; a forked child does not repeat the alerts of its parent."""
        self._queue = AlertQueue(self._options.per_minute, self._deliver)
        # Of each operation: whether its last spans were slow.
        self._operations: dict[str, deque[bool]] = {}
        # The spans that are open for too long.
        self._too_long: set[Key] = set()
        self._next_look = 0.0

    def _ask(self) -> None:
        """Have the monitor's thread check; the worker calls it each second."""
        if self._subscription is not None and self._subscription.active:
            self._subscription.deliver(_CHECK)

    def _take(self, event: Event) -> None:
        if event is _CHECK:
            self._check_open()
            self._check_memory()
        else:
            ids = str(event.metadata.get("trace_id")), str(event.metadata.get("span_id"))
            self._close(("open", *ids))
            operation = str(event.metadata.get("name"))
            self._judge(operation, int(event.measurements["duration_ns"]), ids)
        self._queue.send()

    def _close(self, key: Key) -> None:
        if key in self._too_long:
            self._too_long.discard(key)
            self._queue.resolve(key)

    def _judge(self, operation: str, took: int, ids: tuple[str, str]) -> None:
        thresholds = self._options.thresholds
        limit = thresholds.of(operation)
        thresholds.learn(operation, took)
        if limit is None:
            return
        key = "slow", operation
        were_slow = self._were_slow(operation)
        were_slow.append(took > limit)
        slow = sum(were_slow)
        if took > limit and slow >= self._options.after:
            self._queue.fire(key, Alert("slow", operation, took, limit, *ids, time_ns()))
        elif not slow and self._queue.is_firing(key):
            self._queue.resolve(key, Alert("recovered", operation, took, limit, *ids, time_ns()))

    def _were_slow(self, operation: str) -> deque[bool]:
        known = self._operations.get(operation)
        if known is None:
            if len(self._operations) >= _MOST_OPERATIONS:
                oldest = next(iter(self._operations))
                del self._operations[oldest]
                self._queue.resolve(("slow", oldest))
            known = self._operations[operation] = deque(maxlen=self._options.window)
        return known

    def _check_open(self) -> None:
        """Look at the table of open spans: events that were dropped do not make it wrong."""
        begun = monotonic()
        thresholds = self._options.thresholds
        if thresholds.is_empty or begun < self._next_look:
            return
        found: set[Key] = set()
        for span in open_spans():  # oldest first
            limit = thresholds.of(span.name)
            # One whose owner is gone is reported as abandoned.
            if limit is None or span.age_ns <= limit or not span.owner_alive:
                continue
            ids = span.trace_id, span.span_id
            found.add(("open", *ids))
            self._queue.fire(
                ("open", *ids), Alert("open", span.name, span.age_ns, limit, *ids, time_ns())
            )
            if len(found) == _MOST_OPEN:
                break
        for key in self._too_long - found:
            self._close(key)
        self._too_long = found
        self._next_look = begun + (monotonic() - begun) * _OPEN_BUDGET

    def _check_memory(self) -> None:
        sample = MemorySample(time_ns(), memory_bytes())
        self._take_sample(sample)
        limit, used = self._options.memory_bytes, sample.used_bytes
        if limit is None:
            return
        if used > limit:
            self._queue.fire(_MEMORY, Alert("memory", "", used, limit, time_ns=sample.time_ns))
        elif used <= limit * 0.9:  # only a fall well below the limit ends the alert
            self._queue.resolve(_MEMORY)
