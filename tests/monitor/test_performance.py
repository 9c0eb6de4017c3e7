"""`PerformanceMonitor` alerts once when operations become slow, and when they recover."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.errors import ConfigError
from otel_ext.events import bus
from otel_ext.events.bus import subscribe
from otel_ext.monitor import PerformanceMonitor, Thresholds, alert_queue, watch
from otel_ext.runtime.counters import COUNTERS
from tests.monitor.monitored import Clock, ended, kinds
from tests.programs import in_child, python, succeed, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.trace import Span, Tracer

    from otel_ext.events.event import Event
    from otel_ext.events.subscription import Subscription
    from otel_ext.monitor import Alert


def test_a_slow_operation_alerts_once_until_it_recovers(capfd: pytest.CaptureFixture[str]) -> None:
    """On the bus, on stderr and by the callback; other operations are left alone."""
    called: list[Alert] = []
    events: list[Event] = []
    watched = PerformanceMonitor({"pay*": 0.1}, window=3, on_alert=called.append)
    with watched as monitor, subscribe("performance.alert", events.append) as heard:
        ended("pay", 50, 200, 300, 50, 50)
        ended("render", 900)
        assert kinds(monitor) == ["slow"]
        ended("pay", 60)
        assert kinds(monitor) == ["slow", "recovered"]
        ended("pay", 250)
        assert kinds(monitor) == ["slow", "recovered", "slow"]
        assert heard.flush()
    assert called == list(monitor.alerts)
    assert capfd.readouterr().err.count("performance of pay") == 1
    assert str(called[0]) == "pay took 200 ms, more than 100 ms (trace aaaaaaaa)"
    assert [event.measurements["value"] for event in events] == [2e8, 6e7, 2.5e8]


def test_some_slow_spans_may_be_allowed() -> None:
    """Only so many of the last ones make an operation slow."""
    with PerformanceMonitor({"pay": 0.1}, after=3, window=4) as monitor:
        ended("pay", 200, 50, 200, 50, 200, 50)
        assert kinds(monitor) == []
        ended("pay", 200, 200)
        assert kinds(monitor) == ["slow"]


def test_an_open_span_alerts_before_its_end(tracer: Tracer) -> None:
    """A hang is seen while it lasts, once."""
    with PerformanceMonitor({"pay": 0.001}) as monitor, tracer.start_as_current_span("pay"):
        wait_until(lambda: monitor.alerts, "the alert")
        seen = len(monitor.memory)
        wait_until(lambda: len(monitor.memory) > seen, "another check")
        assert kinds(monitor) == ["open"]


def test_a_span_whose_end_was_dropped_is_not_open(tracer: Tracer) -> None:
    """While `on_alert` is slow, the queue of events overflows."""
    entered, release = threading.Event(), threading.Event()

    def wait(_: Alert) -> None:
        entered.set()
        release.wait(30)

    with PerformanceMonitor({"trigger": 0.1, "pay": 0.001}, on_alert=wait) as monitor:
        span = tracer.start_span("pay")
        ended("trigger", 200)
        assert entered.wait(30)
        dropped = COUNTERS.value("events.dropped")
        while COUNTERS.value("events.dropped") == dropped:
            ended("noise", *[1] * 1_000)
        span.end()
        release.set()
        seen = len(monitor.memory)
        wait_until(lambda: len(monitor.memory) > seen, "a check")
        assert {alert.operation for alert in monitor.alerts if alert.kind != "open"} == {"trigger"}
        assert kinds(monitor) == ["slow"]


def test_memory_alerts_once() -> None:
    """This process uses more than one byte."""
    with PerformanceMonitor(memory_bytes=1) as monitor:
        wait_until(lambda: len(monitor.memory) > 1, "two samples")
        assert kinds(monitor) == ["memory"]
        assert monitor.alerts[0].value == monitor.memory[0].used_bytes > 1


def test_alerts_and_samples_are_kept_for_a_while() -> None:
    """No more than so many, and no longer than so long."""
    with PerformanceMonitor({"*": 0.1}, keep=2) as monitor:
        for number in range(5):
            ended(f"operation {number}", 200)
        assert kinds(monitor) == ["slow", "slow"]
        assert monitor.alerts[1].operation == "operation 4"
    with PerformanceMonitor({"*": 0.1}, keep_seconds=1e-9) as monitor:
        ended("operation", 200)
        assert kinds(monitor) == []


def test_an_abandoned_span_is_open_no_longer(tracer: Tracer) -> None:
    """It does not alert as one that is open for too long."""
    spans: list[Span] = []
    with PerformanceMonitor({"pay": 0.001}) as monitor:
        thread = threading.Thread(target=lambda: spans.append(tracer.start_span("pay")))
        thread.start()
        thread.join()
        seen = len(monitor.memory)
        wait_until(lambda: len(monitor.memory) > seen + 1, "two checks")
        assert kinds(monitor) == []


def test_all_alerts_come_from_one_thread(tracer: Tracer) -> None:
    """Those of spans that end, of open ones and of memory."""
    threads: set[int] = set()
    watched = PerformanceMonitor(
        {"*": 0.001}, memory_bytes=1, on_alert=lambda _: threads.add(get_ident())
    )
    with watched as monitor, tracer.start_as_current_span("pay"):
        ended("render", 200)
        wait_until(lambda: len(monitor.alerts) == 3, "three alerts")
        assert {*kinds(monitor)} == {"slow", "open", "memory"}
    assert len(threads) == 1
    assert get_ident() not in threads


@pytest.mark.forks
def test_a_forked_child_does_not_alert_for_spans_of_its_parent(tracer: Tracer) -> None:
    """They are open in the parent alone, and what the parent has to say it says itself."""

    def alerts_after_two_checks() -> list[str]:
        ended("render", 1)  # threads of a child start with its first event
        seen = len(monitor.memory)
        wait_until(lambda: len(monitor.memory) > seen + 1, "two checks")
        return kinds(monitor)

    with PerformanceMonitor({"pay": 0.001, "a": 0.1}) as monitor:
        ended("a", 200)
        assert kinds(monitor) == ["slow"]
        span = tracer.start_span("pay")
        assert in_child(alerts_after_two_checks) == "[]"
        assert alerts_after_two_checks() == ["slow", "open"]
        span.end()


def test_alerts_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too much waits for a span or a check after there is room."""
    clock = Clock()
    monkeypatch.setattr(alert_queue, "monotonic", clock)
    with PerformanceMonitor({"*": 0.1}, per_minute=2, window=2) as monitor:
        for number in range(5):
            ended(f"operation {number}", 200)
        ended("operation 2", 50, 50)
        assert kinds(monitor) == ["slow", "slow"]
        clock.now += 60
        ended("render", 1)
        assert kinds(monitor) == ["slow"] * 4
        assert monitor.alerts[2].operation == "operation 3"
        assert [alert.suppressed for alert in monitor.alerts] == [0, 0, 1, 0]
        ended("pay", 200)
        assert kinds(monitor) == ["slow"] * 4
        clock.now += 60
        wait_until(lambda: len(monitor.alerts) == 5, "a check")
        assert monitor.alerts[4].operation == "pay"


def test_open_spans_and_memory_wait_for_room(
    monkeypatch: pytest.MonkeyPatch, tracer: Tracer
) -> None:
    """A span that ends before that is counted."""
    clock, used = Clock(), [0]
    monkeypatch.setattr(alert_queue, "monotonic", clock)
    monkeypatch.setattr(watch, "memory_bytes", lambda: used[0])

    def check() -> None:
        seen = len(monitor.memory)
        wait_until(lambda: len(monitor.memory) > seen + 1, "two checks")

    with PerformanceMonitor({"*": 0.001}, per_minute=1, memory_bytes=100) as monitor:
        ended("render", 200)
        assert kinds(monitor) == ["slow"]
        span, other = tracer.start_span("pay"), tracer.start_span("load")
        check()
        used[0] = 101
        check()
        assert kinds(monitor) == ["slow"]
        clock.now += 60
        wait_until(lambda: len(monitor.alerts) == 2, "the open span")
        assert monitor.alerts[1].operation == "pay"
        other.end()
        assert monitor.flush()
        clock.now += 60
        wait_until(lambda: len(monitor.alerts) == 3, "the memory")
        assert kinds(monitor) == ["slow", "open", "memory"]
        assert monitor.alerts[2].suppressed == 1
        span.end()


def test_no_more_alerts_wait_than_operations_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest one is forgotten with its operation, and counted."""
    clock = Clock()
    monkeypatch.setattr(alert_queue, "monotonic", clock)
    with PerformanceMonitor({"*": 0.1}, per_minute=1) as monitor:
        for number in range(3_000):
            ended(f"operation {number}", 200)
        assert kinds(monitor) == ["slow"]
        clock.now += 60
        ended("render", 1)
        wait_until(lambda: len(monitor.alerts) == 2, "another alert")
        assert monitor.alerts[1].operation in {"operation 2000", "operation 2001"}
        assert monitor.alerts[1].suppressed in {1_999, 2_000}


def test_many_threads_start_it_once() -> None:
    """Each alert is delivered once, and `stop` ends it."""
    called: list[Alert] = []
    for number in range(20):
        monitor = PerformanceMonitor({"pay": 0.1}, on_alert=called.append)
        barrier = threading.Barrier(8)

        def start(monitor: PerformanceMonitor = monitor, all_: threading.Barrier = barrier) -> None:
            all_.wait(30)
            monitor.start()

        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ended("pay", 200)
        assert kinds(monitor) == ["slow"]
        monitor.stop()
        ended("pay", 50, 200)
        assert len(called) == number + 1


def test_a_signal_handler_may_start_it_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each alert is delivered once all the same."""
    called: list[Alert] = []
    monitor = PerformanceMonitor({"pay": 0.1}, on_alert=called.append)
    interrupts = [monitor.start]

    def interrupted(*arguments: Any) -> Subscription:  # noqa: ANN401 - passed on
        if interrupts:
            interrupts.pop()()
        return subscribe(*arguments)

    monkeypatch.setattr(watch, "subscribe", interrupted)
    with monitor:
        ended("pay", 200)
        assert kinds(monitor) == ["slow"]
    assert len(called) == 1
    assert not bus._BUS.subscriptions  # noqa: SLF001


def test_a_start_after_a_stop_begins_without_what_was_before() -> None:
    """An operation that is slow then alerts, whatever it was before."""
    monitor = PerformanceMonitor({"pay": 0.1})
    for _ in range(2):
        monitor.start()
        ended("pay", 200)
        monitor.stop()
    monitor.stop()
    assert kinds(monitor) == ["slow", "slow"]


def test_a_monitor_that_was_detached_can_be_started_again() -> None:
    """As after a callback that hung."""

    def fail(_: Alert) -> None:
        raise SystemExit

    with PerformanceMonitor({"*": 0.1}, on_alert=fail) as monitor:
        for operation in ("a", "b", "c", "d"):
            ended(operation, 200)
        assert kinds(monitor) == ["slow"] * 3
        monitor.start()
        ended("d", 200)
        assert kinds(monitor) == ["slow"] * 4


def test_memory_is_watched_before_the_first_span(tmp_path: Path) -> None:
    """In a program that has none."""
    text = """
import threading
from otel_ext.monitor import PerformanceMonitor
alerted = threading.Event()
with PerformanceMonitor(memory_bytes=1, on_alert=lambda _: alerted.set()):
    print(alerted.wait(20))
"""
    assert succeed(python("-c", text), tmp_path).out == "True\n"


def test_a_threshold_is_learned_from_what_was_usual() -> None:
    """And a fixed one counts before it."""
    thresholds = Thresholds({"pay": 1.0}, percentile=99, factor=2, least_samples=50)
    with PerformanceMonitor(thresholds) as monitor:
        for milliseconds in range(1, 101):
            ended("load", milliseconds % 10 + 1)
            ended("pay", milliseconds % 10 + 1)
        ended("load", 15)
        assert kinds(monitor) == []
        ended("load", 25)
        ended("pay", 25)
        assert kinds(monitor) == ["slow"]


def test_a_failing_callback_does_not_end_the_watch(capfd: pytest.CaptureFixture[str]) -> None:
    """It is reported."""

    def fail(_: Alert) -> None:
        raise ValueError("no")

    with PerformanceMonitor({"a": 0.1, "b": 0.1}, on_alert=fail) as monitor:
        ended("a", 200)
        ended("b", 200)
        assert kinds(monitor) == ["slow", "slow"]
    assert "on_alert failed" in capfd.readouterr().err


def test_infinite_values_are_never_reached() -> None:
    """They do not make a span fail."""
    inf = float("inf")
    thresholds = Thresholds({"a": inf}, percentile=50, factor=inf, least_samples=1)
    with PerformanceMonitor(thresholds, keep_seconds=inf, window=10**30) as monitor:
        ended("a", 200)
        ended("b", 0, 200, 300)
        assert kinds(monitor) == []
        thresholds.learn("c", 0)
    with PerformanceMonitor({"a": 0.1}, keep_seconds=inf) as monitor:
        ended("a", 200)
        assert kinds(monitor) == ["slow"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PerformanceMonitor({"a": 0}),
        lambda: PerformanceMonitor(after=0),
        lambda: PerformanceMonitor(memory_bytes=-1),
        lambda: Thresholds(percentile=100),
        lambda: Thresholds(percentile="99"),  # type: ignore[arg-type]
        lambda: Thresholds(factor=0),
    ],
)
def test_wrong_values_are_refused(wrong: object) -> None:
    """Each names the argument and the way out."""
    with pytest.raises(ConfigError) as found:
        wrong()  # type: ignore[operator]
    assert found.value.hint
