"""`PerformanceMonitor`: alerts while a program runs, when operations take longer than they may."""

from __future__ import annotations

from collections import deque
from threading import RLock
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.events.bus import emit
from otel_ext.monitor.thresholds import Thresholds
from otel_ext.monitor.watch import MemorySample, Options, Watch
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.limits import check_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from otel_ext.monitor.alert import Alert

__all__ = ["PerformanceMonitor"]

_MOST_WINDOW: Final = 1_000
_MOST_LINES: Final = 1_000
_MINUTE: Final = 60.0
_EVENT: Final = "performance.alert"


class PerformanceMonitor:
    """Watches the spans of this process, and alerts when they take longer than they may.

    An alert is an event on the bus (`performance.alert`), a line on stderr at most once a
    minute for each operation, and a call of `on_alert`. An operation that is slow alerts once;
    it alerts again only after it has recovered. Alerts beyond `per_minute` wait until there is
    room; those whose reason is over before that are counted in the next one (`suppressed`).

    All this happens on a thread of its own. When spans end faster than it can look at them,
    as while `on_alert` is slow, some are left out (`events.dropped` in the counters): slow
    ones among them do not alert. Which spans are open is known all the same. In a forked child
    it starts empty and goes on with the spans of the child.

    Args:
        thresholds: How long operations may take; a mapping as for `Thresholds` is enough.
        after: How many of the last `window` spans have to be slow.
        window: How many spans of an operation count, at most 1,000.
        per_minute: How many alerts are delivered in a minute.
        memory_bytes: How much memory the process may use; None for no limit.
        keep: How many alerts, and how many samples of the memory, are kept.
        keep_seconds: For how long they are kept.
        on_alert: Called with each alert, on the monitor's thread. If a call does not return for
            5 seconds, the monitor stops, which is reported on stderr; `start` starts it again.

    Raises:
        ConfigError: A value is out of its range.

    >>> with PerformanceMonitor({"checkout": 0.5}) as monitor:
    ...     monitor.alerts
    ()
    """

    def __init__(
        self,
        thresholds: Thresholds | Mapping[str, float] | None = None,
        *,
        after: int = 1,
        window: int = 10,
        per_minute: int = 60,
        memory_bytes: int | None = None,
        keep: int = 1_000,
        keep_seconds: float = 3_600.0,
        on_alert: Callable[[Alert], object] | None = None,
    ) -> None:
        limits = {"after": after, "window": window, "per_minute": per_minute, "keep": keep}
        for name, value in limits.items():
            check_limit(name, value)
        check_limit("keep_seconds", keep_seconds, is_whole=False)
        if memory_bytes is not None:
            check_limit("memory_bytes", memory_bytes)
        if isinstance(thresholds, Thresholds):
            self.thresholds = thresholds
        else:
            self.thresholds = Thresholds(thresholds)
        window = min(window, _MOST_WINDOW)
        self._options = Options(
            self.thresholds, min(after, window), window, per_minute, memory_bytes
        )
        self._on_alert = on_alert
        self._keep = keep
        self._keep_ns = keep_seconds * 1e9
        self._watch: Watch | None = None
        self._reset()
        after_fork_in_child(self._reset)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that are kept, oldest first."""
        since = time_ns() - self._keep_ns
        # Another thread may add one meanwhile: the copy is one step of the interpreter.
        return tuple(alert for alert in self._alerts.copy() if alert.time_ns >= since)

    @property
    def memory(self) -> tuple[MemorySample, ...]:
        """How much memory the process used, each second, oldest first."""
        since = time_ns() - self._keep_ns
        return tuple(one for one in self._memory_samples.copy() if one.time_ns >= since)

    def start(self) -> None:
        """Begin to watch, without what was known before a `stop`. Idempotent."""
        check_process()
        with self._changing:
            before = self._watch
            if before is not None and not before.has_ended:
                return
            self._watch = Watch(self._options, self._deliver, self._take_sample)
            self._watch.begin()
        if before is not None:
            before.end(0.0)

    def stop(self) -> None:
        """Watch no longer. Idempotent."""
        check_process()
        with self._changing:
            watch, self._watch = self._watch, None
        if watch is not None:
            watch.end(1.0)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all spans that have ended so far are looked at; whether that was in time."""
        check_process()
        watch = self._watch
        return watch is None or watch.flush(timeout)

    def _reset(self) -> None:
        """Keep nothing yet; a forked child has alerts and a use of memory of its own."""
        self._changing = RLock()
        self._alerts: deque[Alert] = deque(maxlen=self._keep)
        self._memory_samples: deque[MemorySample] = deque(maxlen=self._keep)
        # By operation: when its next line may be printed.
        self._next_lines: dict[str, float] = {}

    def _take_sample(self, sample: MemorySample) -> None:
        self._memory_samples.append(sample)

    def _deliver(self, alert: Alert) -> None:
        self._alerts.append(alert)
        fields = alert._asdict()
        numbers = {name: float(fields.pop(name)) for name in ("value", "limit", "suppressed")}
        emit(_EVENT, numbers, fields)
        if alert.kind != "recovered":
            self._print(alert)
        if self._on_alert is not None:
            try:
                self._on_alert(alert)
            except Exception as error:  # noqa: BLE001 - it is the program's own function
                report_problem("PerformanceMonitor: on_alert failed", error)

    def _print(self, alert: Alert) -> None:
        now = monotonic()
        if now < self._next_lines.get(alert.operation, 0.0):
            return
        if len(self._next_lines) >= _MOST_LINES:
            self._next_lines.clear()
        self._next_lines[alert.operation] = now + _MINUTE
        report_problem(f"performance of {alert.operation or 'the process'}", str(alert))

    def __enter__(self) -> PerformanceMonitor:  # noqa: PYI034 - typing.Self came with Python 3.11
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
