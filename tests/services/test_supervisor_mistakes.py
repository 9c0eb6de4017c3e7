"""A supervisor that is used in a wrong way: each error names the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import ConfigError
from otel_ext.services import ChildContext, Supervisor
from tests.services.children import SOON, waits

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_target_that_returns_a_coroutine_is_refused() -> None:
    """It would never run; the error has the way out."""

    async def work() -> None:
        """Do nothing."""

    def child(_: ChildContext) -> object:
        return work()

    supervisor = Supervisor("mistaken", max_restarts=1, initial_interval=0.001)
    supervisor.add("child", child)
    supervisor.start()
    assert supervisor.wait(SOON)
    assert "Add the coroutine function itself" in supervisor.error


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Supervisor(""), "name='' is not a valid name"),
        (lambda: Supervisor("a/b"), "name='a/b' is not a valid name of a supervisor.* slash"),
        (lambda: Supervisor("s", strategy="all"), "strategy='all' .* Use one_for_one, one_for_all"),  # type: ignore[arg-type]
        (lambda: Supervisor("s", max_restarts=0), "max_restarts=0"),
        (lambda: Supervisor("s", within=-1), "within=-1"),
        (lambda: Supervisor("s", stop_timeout=0), "stop_timeout=0"),
        (lambda: Supervisor("s").add("a/b", waits), "name='a/b' is not a valid name of a child"),
        (lambda: Supervisor("s").add("a", waits, restart="no"), "restart='no'"),  # type: ignore[arg-type]
        (lambda: Supervisor("s").add("a", waits, ready=0), "ready=0"),
        (lambda: Supervisor("s").add("a", 3), "target=3 cannot be called"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused(wrong: Callable[[], object], message: str) -> None:
    """The error names the thing, the value and the way out."""
    with pytest.raises(ConfigError, match=message):
        wrong()


def test_wrong_use_is_refused() -> None:
    """Two starts, two children of one name, circles, and coroutines without a loop."""

    async def work(_: ChildContext) -> None:
        """Do nothing."""

    supervisor = Supervisor("used")
    supervisor.add("a", waits)
    with pytest.raises(ConfigError, match="has a child called 'a' already"):
        supervisor.add("a", waits)
    with pytest.raises(ConfigError, match="would be a child of itself"):
        supervisor.add("me", supervisor)
    below = Supervisor("below")
    supervisor.add("below", below)
    with pytest.raises(ConfigError, match="would be a child of itself"):
        below.add("above", supervisor)
    with pytest.raises(ConfigError, match="is a child already"):
        Supervisor("another").add("below", below)
    assert [child.name for child in supervisor.children()] == ["a", "below"]
    with supervisor:
        with pytest.raises(ConfigError, match="'used' is running already"):
            supervisor.start()
        with pytest.raises(ConfigError, match="coroutine function"):
            supervisor.add("task", work)
        with pytest.raises(ConfigError, match="runs already"):
            Supervisor("late").add("used", supervisor)
    below.add("task", work)
    with pytest.raises(ConfigError, match=r"start_async\(\)"):
        supervisor.start()
