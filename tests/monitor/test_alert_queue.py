"""`AlertQueue` delivers each alert once; what is too much waits, or is counted."""

from __future__ import annotations

import pytest

from otel_ext.monitor import Alert, alert_queue
from otel_ext.monitor.alert_queue import AlertQueue
from tests.monitor.monitored import Clock

A, B, C = ("slow", "a"), ("slow", "b"), ("slow", "c")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the queue."""
    clock = Clock()
    monkeypatch.setattr(alert_queue, "monotonic", clock)
    return clock


def slow(operation: str, value: int = 2) -> Alert:
    """Return an alert."""
    return Alert("slow", operation, value, 1)


def recovered(operation: str) -> Alert:
    """Return the alert that a slow operation has recovered."""
    return Alert("recovered", operation, 1, 1)


class Delivered(list[Alert]):
    """What was delivered."""

    @property
    def texts(self) -> list[str]:
        """Kind, operation and number of suppressed alerts of each."""
        return [f"{one.kind} {one.operation} {one.suppressed}" for one in self]


def test_what_is_too_much_waits_in_order(clock: Clock) -> None:
    """A condition that goes on waits with its newest alert, and counts as one."""
    delivered = Delivered()
    queue = AlertQueue(1, delivered.append)
    for key in (A, C, B, C, C):
        queue.fire(key, slow(key[1], len(delivered) + 2))
        queue.send()
    assert delivered.texts == ["slow a 0"]
    for _ in range(3):
        clock.now += 30
        queue.fire(C, slow("c", 9))
        queue.send()
    assert delivered.texts == ["slow a 0", "slow c 0"]
    assert delivered[1].value == 9
    clock.now += 30
    queue.send()
    queue.send()
    assert delivered.texts == ["slow a 0", "slow c 0", "slow b 0"]


def test_what_is_over_before_there_is_room_is_counted(clock: Clock) -> None:
    """Its recovery is not delivered either."""
    delivered = Delivered()
    queue = AlertQueue(1, delivered.append)
    for key in (A, B, C):
        queue.fire(key, slow(key[1]))
        queue.send()
    queue.resolve(B, recovered("b"))
    assert not queue.is_firing(B)
    clock.now += 60
    queue.send()
    assert delivered.texts == ["slow a 0", "slow c 1"]


def test_a_recovery_waits_too(clock: Clock) -> None:
    """If it is over before there is room, the condition has been firing all the time."""
    delivered = Delivered()
    queue = AlertQueue(1, delivered.append)
    queue.fire(A, slow("a"))
    queue.send()
    queue.resolve(A, recovered("a"))
    queue.fire(A, slow("a"))
    clock.now += 60
    queue.send()
    assert delivered.texts == ["slow a 0"]
    queue.resolve(A, recovered("a"))
    queue.send()
    assert delivered.texts == ["slow a 0", "recovered a 1"]
    assert not queue.is_firing(A)


def test_slow_deliveries_are_spread_over_calls(clock: Clock) -> None:
    """So that many of them do not look like one that hangs."""
    delivered = Delivered()

    def deliver(alert: Alert) -> None:
        delivered.append(alert)
        clock.now += 0.3

    queue = AlertQueue(60, deliver)
    for key in (A, B, C):
        queue.fire(key, slow(key[1]))
    queue.send()
    assert len(delivered) == 2
    queue.send()
    assert len(delivered) == 3
