"""Health checks of services: answers, errors, and checks that hang."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import ConfigError
from otel_ext.runtime.health import PartHealth
from tests.programs import wait_until
from tests.threads import in_threads

if TYPE_CHECKING:
    from otel_ext.services import ServiceRegistry

ANSWERS: list[tuple[object, str, str]] = [
    (None, "healthy", ""),
    (True, "healthy", ""),
    ("healthy", "healthy", ""),
    ("degraded", "degraded", "the check says 'degraded'"),
    ("unhealthy", "failed", "the check says 'unhealthy'"),
    ("failed", "failed", "the check says 'failed'"),
    (False, "failed", "the check says False"),
    (PartHealth("own", "degraded", "slow"), "degraded", "slow"),
    (3, "failed", "the check returned 3, which is no health"),
    (1, "failed", "the check returned 1, which is no health"),
    ([], "failed", "the check returned [], which is no health"),
    ("fine", "failed", "the check returned 'fine', which is no health"),
]


@pytest.mark.parametrize(("answer", "state", "detail"), ANSWERS, ids=[repr(a[0]) for a in ANSWERS])
def test_answers(services: ServiceRegistry, answer: object, state: str, detail: str) -> None:
    """Each kind of answer has its state; one that is not an answer is a failure."""
    services.register("db", 1, health=lambda: answer)
    health = services.health_check("db", 30)
    assert (health.state, health.detail) == (state, detail)


def test_a_check_that_raises(services: ServiceRegistry) -> None:
    """Its error is the reason, also one that cannot be printed or ends threads."""

    class HostileError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    for number, error in enumerate((ValueError("no route"), HostileError(), SystemExit(3))):

        def check(error: BaseException = error) -> None:
            raise error

        services.register(f"{number}", 1, health=check)
    found = [services.health_check(f"{number}", 30) for number in range(3)]
    assert {health.state for health in found} == {"failed"}
    assert [health.detail for health in found] == [
        "the check raised ValueError: no route",
        "the check raised HostileError: <unprintable>",
        "the check raised SystemExit: 3",
    ]


def test_a_check_that_hangs(services: ServiceRegistry) -> None:
    """The caller waits no longer than asked, no threads pile up, and it can recover."""
    go_on = threading.Event()
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        go_on.wait(30)

    services.register("db", 1, health=check)
    before = threading.active_count()
    first = services.health_check("db", 0.05)
    assert (first.state, first.detail) == ("failed", "the check hangs: no answer within 0.05 s")
    in_threads(*[lambda: services.health_check("db", 0.05)] * 8)
    later = services.health_check("db", 0.05)
    assert later.detail == "the check waits for an earlier one that hangs: no answer within 0.05 s"
    assert len(calls) == 1
    assert threading.active_count() <= before + 1
    go_on.set()
    assert services.health_check("db", 30).state == "healthy"
    wait_until(lambda: threading.active_count() <= before, "the thread has ended")


def test_without_a_check(services: ServiceRegistry) -> None:
    """A service is healthy once it is ready."""
    services.register("db", 1, ready=False)
    health = services.health_check("db")
    assert (health.name, health.state, health.detail) == ("db", "degraded", "it is not ready")
    services.mark_ready("db")
    assert services.health_check("db").state == "healthy"


def test_a_passing_check_of_a_service_that_is_not_ready(services: ServiceRegistry) -> None:
    """It is degraded; a failing check counts all the same."""
    answers = iter([True, False])
    services.register("db", 1, ready=False, health=lambda: next(answers))
    assert [services.health_check("db", 30).state for _ in range(2)] == ["degraded", "failed"]


def test_a_wrong_check_is_refused(services: ServiceRegistry) -> None:
    """It must be a plain function."""

    async def check() -> None:
        pass

    with pytest.raises(ConfigError, match="coroutine function.*Use a plain function"):
        services.register("db", 1, health=check)
    with pytest.raises(ConfigError, match="health=7 cannot be called"):
        services.register("db", 1, health=7)  # type: ignore[arg-type]
    assert services.names() == []
