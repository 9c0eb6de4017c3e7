"""Runs the health check of a service, with a time limit."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import describe
from otel_ext.runtime.health import PartHealth
from otel_ext.runtime.isolated import IsolatedThread
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.runtime.health import State

__all__ = ["HealthCheck", "checked_check"]

_STATES: Final[dict[object, State]] = {
    None: "healthy",
    True: "healthy",
    False: "failed",
    "healthy": "healthy",
    "degraded": "degraded",
    "failed": "failed",
    "unhealthy": "failed",
}


def checked_check(name: str, check: object) -> Callable[[], object] | None:
    """Return a service's health check, if it can be called.

    Raises:
        ConfigError: It cannot, or is a coroutine function.

    >>> checked_check("db", None) is None
    True
    """
    if check is None:
        return None
    if not callable(check):
        raise ConfigError(
            f"service {name!r}: health={short_repr(check)} cannot be called",
            hint="Use a function without arguments.",
        )
    import inspect  # noqa: PLC0415 - slow to import

    if inspect.iscoroutinefunction(check):
        raise ConfigError(
            f"service {name!r}: health={short_repr(check)} is a coroutine function",
            hint="Use a plain function: it runs on a thread without an event loop.",
        )
    return check


class HealthCheck:
    """The health check of one service: makes one call at a time, on a thread apart.

    Args:
        name: The service's name.
        check: The service's own check.

    >>> HealthCheck("db", lambda: "degraded").run(10.0).state
    'degraded'
    """

    def __init__(self, name: str, check: Callable[[], object]) -> None:
        self._name = name
        self._check: Callable[[], object] | None = check
        self._thread = IsolatedThread(f"health of {name[:40]}", stays=False, report=_ignore)

    def run(self, timeout: float) -> PartHealth:
        """Return the health; `failed` if the check raises, or has not ended after `timeout` s.

        While one call hangs, one further waits for it, however often this is called.
        """
        ticket = self._thread.submit_alone(self._call)
        if not ticket.wait(timeout):
            started = "hangs" if ticket.has_begun else "waits for an earlier one that hangs"
            return self._found("failed", f"the check {started}: no answer within {timeout:g} s")
        if ticket.error is not None:
            return self._found("failed", f"the check raised {describe(ticket.error)}")
        return self._read(ticket.result)

    def forget(self) -> None:
        """Let go of the check, which a call that has ended would keep for a while."""
        self._check = None

    def _call(self) -> object:
        check = self._check
        return None if check is None else check()

    def _read(self, answer: object) -> PartHealth:
        if isinstance(answer, PartHealth):
            return answer
        is_known = answer is None or isinstance(answer, bool | str)
        state = _STATES.get(answer) if is_known else None
        if state is not None:
            return self._found(state, "" if state == "healthy" else f"the check says {answer!r}")
        return self._found("failed", f"the check returned {short_repr(answer)}, which is no health")

    def _found(self, state: State, detail: str) -> PartHealth:
        return PartHealth(self._name, state, detail, time_ns())


def _ignore(_error: BaseException | str) -> None:
    """Report nothing: whoever asks for the health gets the error."""
