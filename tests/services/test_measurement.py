"""Timed blocks of one object that overlap, and blocks that end elsewhere."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.services import instruments
from otel_ext.services.instruments import Timing

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.metrics import Histogram


class Recorded:
    """Keeps what is recorded, as a histogram does."""

    def __init__(self) -> None:
        self.found: list[tuple[float, dict[str, object]]] = []

    def record(self, seconds: float, attributes: dict[str, object]) -> None:
        """Keep a duration."""
        self.found.append((seconds, attributes))

    def timing(self) -> Timing:
        """Return what records here."""
        return Timing("work", "s", cast("Histogram", self))


@pytest.fixture
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the time 0, 10, 11, 14 seconds, each time it is asked for."""
    monkeypatch.setattr(instruments, "perf_counter", iter((0.0, 10.0, 11.0, 14.0)).__next__)


@pytest.mark.usefixtures("_clock")
def test_threads() -> None:
    """Each has its own time, which begins with it."""
    recorded = Recorded()
    measured = recorded.timing().measure()
    began, other_began, ended = (threading.Event() for _ in range(3))

    def first() -> None:
        with measured:
            began.set()
            assert other_began.wait(20)
        ended.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert began.wait(20)
    with measured:
        other_began.set()
        assert ended.wait(20)
    thread.join()
    assert recorded.found == [(11.0, {}), (4.0, {})]


@pytest.mark.usefixtures("_clock")
def test_tasks() -> None:
    """They share a thread, not their times."""
    recorded = Recorded()
    measured = recorded.timing().measure()

    async def both() -> None:
        began, other_began, ended = (asyncio.Event() for _ in range(3))

        async def first() -> None:
            with measured:
                began.set()
                await other_began.wait()
            ended.set()

        task = asyncio.create_task(first())
        await began.wait()
        with measured:
            other_began.set()
            await ended.wait()
        await task

    asyncio.run(both())
    assert recorded.found == [(11.0, {}), (4.0, {})]


@pytest.mark.usefixtures("_clock")
def test_a_block_within_a_block() -> None:
    """The inner one ends first."""
    recorded = Recorded()
    measured = recorded.timing().measure()
    with measured, measured:
        pass
    assert recorded.found == [(1.0, {}), (14.0, {})]


@pytest.mark.usefixtures("_clock")
def test_a_block_may_end_on_another_thread() -> None:
    """As that of a generator may, which the garbage collector closes."""
    recorded = Recorded()
    measured = recorded.timing().measure()

    def numbers() -> Generator[int]:
        with measured:
            yield 1

    iteration = numbers()
    thread = threading.Thread(target=next, args=(iteration,))
    thread.start()
    thread.join()
    iteration.close()
    assert recorded.found == [(10.0, {})]
    measured.__exit__(None, None, None)  # without a block: nothing
    assert len(recorded.found) == 1


@pytest.mark.usefixtures("_clock")
def test_any_attribute() -> None:
    """Also one that is called as Python calls the object of a method."""
    recorded = Recorded()
    with recorded.timing().measure(self="x", seconds=1):
        pass
    assert recorded.found == [(10.0, {"self": "x", "seconds": 1})]
