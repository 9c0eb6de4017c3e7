"""The children of a supervisor: how each was added, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from otel_ext.errors import ConfigError
from otel_ext.settings.limits import check_limit
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from otel_ext.inflight.origin import Origin
    from otel_ext.runtime.restarts import RestartPolicy

__all__ = [
    "RESTARTS",
    "Child",
    "ChildSpec",
    "ChildState",
    "ChildStatus",
    "Life",
    "Restart",
    "is_coroutine_target",
    "is_name",
]

Restart = Literal["permanent", "transient", "temporary"]
RESTARTS: Final[tuple[Restart, ...]] = ("permanent", "transient", "temporary")

ChildState = Literal["starting", "running", "ready", "backoff", "stopping", "stopped", "failed"]


class Life(Protocol):
    """One life of a child: a thread or a task that runs its target once."""

    @property
    def origin(self) -> Origin:
        """The span, thread and task of the life, as far as they are known yet."""
        ...

    @property
    def span_context(self) -> SpanContext | None:
        """Its span; None if it has none."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        ...

    def ask(self, until: float) -> None:
        """Ask it to end before `until`, by the monotonic clock; never waits."""
        ...

    def force(self) -> bool:
        """End it by other means; return False if there are none."""
        ...


class ChildSpec(NamedTuple):
    """How a child was added.

    Attributes:
        name: Its name, unique in its supervisor.
        target: What it runs: a callable, a coroutine function, or a supervisor.
        args: Further arguments of the target, after the context.
        restart: When it is started again.
        ready: Within how many seconds it must say that it is ready; None if it need not.
        stop_timeout: How many seconds it has to end.
    """

    name: str
    target: object
    args: tuple[object, ...]
    restart: Restart
    ready: float | None
    stop_timeout: float

    def check(self) -> None:
        """Raise ConfigError if a value is not valid."""
        if not is_name(self.name):
            raise ConfigError(
                f"name={short_repr(self.name)} is not a valid name of a child",
                hint="Use a text without a slash, which separates supervisor and child.",
            )
        if self.restart not in RESTARTS:
            raise ConfigError(
                f"child {self.name!r}: restart={short_repr(self.restart)} is not a valid kind",
                hint=f"Use {', '.join(RESTARTS[:-1])} or {RESTARTS[-1]}.",
            )
        if self.ready is not None:
            check_limit("ready", self.ready, is_whole=False)
        check_limit("stop_timeout", self.stop_timeout, is_whole=False)
        if not callable(self.target) and not hasattr(self.target, "run_below"):
            raise ConfigError(
                f"child {self.name!r}: target={short_repr(self.target)} cannot be called",
                hint="Use a function, a coroutine function or a Supervisor.",
            )


class ChildStatus(NamedTuple):
    """How a child stands.

    Attributes:
        name: Its name.
        state: Such as `running`, or `backoff` while it waits to be started again.
        life: The number of its newest life; 0 before the first.
        restarts: How many of its lives were restarts.
        error: Why its newest ended life has ended; empty if it has returned as it should.
    """

    name: str
    state: ChildState
    life: int
    restarts: int
    error: str


@dataclass(eq=False)
class Child:
    """A child as the engine knows it; only the supervisor's thread changes it.

    Attributes:
        spec: How it was added.
        policy: When it starts again.
        batch: Children of one batch start one after the other, in their order.
        life: Its life; None if it has none.
        number: The number of its newest life.
        position: Its place among the children, which start in this order.
        state: How it stands.
        error: Why its newest ended life has ended.
        start_at: When it is to start, by the monotonic clock; None if it is not.
        ready_by: Until when its life must say that it is ready; None if it need not.
        is_up: Whether the children after it may start.
        must_stop: Whether its life is to end.
        stop_by: Until when, once it was asked to; None before.
        is_forced: Whether it was ended by other means than by asking.
        is_late: Whether its life was not ready in time.
        is_leaving: Whether it is removed from its supervisor when its life has ended.
        last: Its newest life that has started, which may have ended.
        hanging: Lives that did not end in time, and still run.
    """

    spec: ChildSpec
    policy: RestartPolicy
    batch: int = 0
    life: Life | None = None
    last: Life | None = None
    number: int = 0
    position: int = 0
    state: ChildState = "stopped"
    error: str = ""
    start_at: float | None = None
    ready_by: float | None = None
    is_up: bool = False
    must_stop: bool = False
    stop_by: float | None = None
    is_forced: bool = False
    is_late: bool = False
    is_leaving: bool = False

    def __post_init__(self) -> None:
        self.hanging: list[Life] = []

    @property
    def restarts(self) -> int:
        """How many of its lives were restarts."""
        return max(self.number - 1, 0)

    @property
    def status(self) -> ChildStatus:
        """How it stands, for programs."""
        return ChildStatus(self.spec.name, self.state, self.number, self.restarts, self.error)

    @property
    def has_hanging(self) -> bool:
        """Whether a life that was left behind still runs."""
        return any(not life.has_ended for life in self.hanging.copy())

    def end_life(self) -> None:
        """Forget its life, which has ended or is left behind."""
        self.life = self.ready_by = self.stop_by = None
        self.is_up = self.must_stop = self.is_forced = self.is_late = False


def is_name(name: object) -> bool:
    """Return whether a child or a supervisor may have this name.

    >>> is_name("shop"), is_name("shop/importer"), is_name("")
    (True, False, False)
    """
    return isinstance(name, str) and name != "" and "/" not in name


def is_coroutine_target(target: object) -> bool:
    """Return whether a target is a coroutine function, or an object that is called as one.

    >>> is_coroutine_target(print)
    False
    """
    return iscoroutinefunction(target) or iscoroutinefunction(
        getattr(target, "__call__", None)  # noqa: B004 - the method, not whether there is one
    )
