"""Waiting for a service, by threads and by tasks."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import ConfigError, OtelExtError
from otel_ext.services import NotReadyError
from tests.programs import wait_until
from tests.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.services import ServiceRegistry


def waiting(services: ServiceRegistry, count: int) -> bool:
    """Return whether so many wait."""
    return len(services._table.waiters._wakers) == count  # noqa: SLF001 - no public way


def after_waits(services: ServiceRegistry, count: int, *steps: Callable[[], object]) -> None:
    """Make the calls once so many wait, on another thread that then ends."""

    def run() -> None:
        wait_until(lambda: waiting(services, count), "they wait")
        for step in steps:
            step()

    threading.Thread(target=run).start()


def test_threads_wait_until_a_service_is_ready(services: ServiceRegistry) -> None:
    """Not when it is registered; all that wait for it get it."""
    pool = object()
    found: list[object] = []
    after_waits(
        services,
        4,
        lambda: services.register("other", 1),
        lambda: services.register("db", pool, ready=False),
        lambda: found.append("registered"),
        lambda: services.mark_ready("db"),
    )
    in_threads(*[lambda: found.append(services.wait_for("db", 30))] * 4)
    assert found == ["registered", pool, pool, pool, pool]
    assert waiting(services, 0)


def test_tasks_wait_until_a_service_is_ready(services: ServiceRegistry) -> None:
    """They share the event loop with others meanwhile."""

    async def main() -> list[object]:
        ticks = asyncio.create_task(asyncio.sleep(0, "tick"))
        waits = [services.wait_for_async("db", 30) for _ in range(4)]
        after_waits(services, 4, lambda: services.register("db", "a pool"))
        return [await ticks, *await asyncio.gather(*waits)]

    assert asyncio.run(main()) == ["tick", *["a pool"] * 4]
    assert waiting(services, 0)


def test_a_ready_service_is_returned_at_once(services: ServiceRegistry) -> None:
    """Also one that is None, and from a task."""
    services.register("none", None)
    for timeout in (0.001, 0, 0.0):
        assert services.wait_for("none", timeout) is None
        assert asyncio.run(services.wait_for_async("none", timeout)) is None


def in_a_task(services: ServiceRegistry) -> Callable[[str, float], object]:
    """Return a function that waits in a task of an event loop of its own."""
    return lambda name, timeout: asyncio.run(services.wait_for_async(name, timeout))


def test_a_wait_that_is_too_short(services: ServiceRegistry) -> None:
    """The error is a TimeoutError, and says what is missing and the way out."""
    services.register("database", 1, ready=False)
    not_marked = "'database' is registered, but was not marked as ready within 0.01 s."
    for name, text in (
        ("databse", "'databse' was not registered within 0.01 s. Did you mean 'database'?"),
        ("x", "'x' was not registered within 0.01 s. Register it, or wait longer."),
        ("database", f"{not_marked} Call mark_ready for it, or wait longer."),
    ):
        for wait in (services.wait_for, in_a_task(services)):
            with pytest.raises(NotReadyError) as found:
                wait(name, 0.01)
            assert str(found.value) == f"service {text}"
            assert isinstance(found.value, TimeoutError)
            assert isinstance(found.value, OtelExtError)
    for wait in (services.wait_for, in_a_task(services)):
        with pytest.raises(NotReadyError, match="within 0 s"):
            wait("database", 0)
    assert waiting(services, 0)


@pytest.mark.parametrize("wrong", [False, -1, float("nan"), None, "1"])
def test_a_wrong_timeout_is_refused(services: ServiceRegistry, wrong: float) -> None:
    """A wait needs a positive number of seconds."""
    services.register("db", 1)
    uses: list[Callable[[], object]] = [
        lambda: services.wait_for("db", wrong),
        lambda: services.health_check("db", wrong),
        lambda: in_a_task(services)("db", wrong),
    ]
    for use in uses:
        with pytest.raises(ConfigError, match="timeout="):
            use()


def test_an_endless_timeout(services: ServiceRegistry) -> None:
    """Infinity is a timeout, too."""
    after_waits(services, 1, lambda: services.register("db", 1))
    assert services.wait_for("db", float("inf")) == 1
    assert services.health_check("db", float("inf")).state == "healthy"


def test_a_service_that_comes_and_goes(services: ServiceRegistry) -> None:
    """Who wakes up too late for it waits for the next one."""
    services.register("db", 1, ready=False)
    after_waits(
        services,
        1,
        lambda: services.unregister("db"),
        lambda: services.register("db", 2, ready=False),
        lambda: services.mark_ready("db"),
    )
    assert services.wait_for("db", 30) == 2


def test_closing_ends_the_waits(services: ServiceRegistry) -> None:
    """Who waits in a thread or in a task gets the error at once."""
    space = services.namespace("test-7")
    after_waits(space, 1, space.close)
    with pytest.raises(ConfigError, match="'test-7' is closed"):
        space.wait_for("db", 30)
    space = services.namespace("test-8")
    after_waits(space, 1, space.close)
    with pytest.raises(ConfigError, match="'test-8' is closed"):
        asyncio.run(space.wait_for_async("db", 30))


def test_a_task_that_is_cancelled(services: ServiceRegistry) -> None:
    """It waits no more."""

    async def main() -> None:
        task = asyncio.create_task(services.wait_for_async("db", 30))
        await asyncio.sleep(0)
        assert waiting(services, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert waiting(services, 0)


def test_a_closed_loop_disturbs_nobody(services: ServiceRegistry) -> None:
    """A loop that ended with a task that waits is ignored by who registers the service."""
    from otel_ext.services.waiting import task_waker  # noqa: PLC0415 - only here

    loop = asyncio.new_event_loop()
    loop.close()
    key = services._table.waiters.add("db", task_waker(loop, asyncio.Event()))  # noqa: SLF001
    services.register("db", 1)
    services._table.waiters.remove(key)  # noqa: SLF001
    assert services.wait_for("db", 1) == 1


def test_many_wait_for_many(services: ServiceRegistry) -> None:
    """No wake-up is missed when all come at once."""
    found: list[object] = []
    names = [f"service-{number}" for number in range(50)]

    def register() -> None:
        for name in names:
            services.register(name, name, ready=False)

    def mark() -> None:
        for name in names:
            wait_until(partial(services.__contains__, name), name)
            services.mark_ready(name)

    def wait() -> None:
        found.extend(services.wait_for(name, 30) for name in names)

    in_threads(*[wait] * 6, register, mark)
    assert sorted(map(str, found)) == sorted(names * 6)
