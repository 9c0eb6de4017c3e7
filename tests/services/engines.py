"""An engine with lives that a test ends, and with a clock that a test sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.inflight.origin import NOWHERE
from otel_ext.runtime.restarts import Intensity, RestartPolicy
from otel_ext.services.supervision.child import Child, ChildSpec
from otel_ext.services.supervision.engine import Engine

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from otel_ext.services.supervision.child import Life, Restart
    from otel_ext.services.supervision.engine import Strategy, SupervisorState

__all__ = ["FakeLife", "Kit"]


class FakeLife:
    """A life that does nothing."""

    def __init__(self, child: Child, *, can_force: bool = False) -> None:
        self.child = child
        self.number = child.number
        self.origin = NOWHERE
        self.span_context: SpanContext | None = None
        self.asked_until: float | None = None
        self.can_force = can_force
        self.has_ended = False
        self.is_forced = False

    def ask(self, until: float) -> None:
        """Note that it was asked."""
        self.asked_until = until

    def force(self) -> bool:
        """Note that it was ended by other means."""
        self.is_forced = self.can_force
        return self.can_force


class CountedIntensity(Intensity):
    """An intensity that keeps the times of the restarts."""

    def __init__(self, max_restarts: int, within: float) -> None:
        super().__init__(max_restarts, within)
        self.times: list[float] = []

    def allows(self, now: float) -> bool:
        """Do the same, and keep the time."""
        allowed = super().allows(now)
        if allowed:
            self.times.append(now)
        return allowed


class Kit:
    """An engine, its clock, and what it has done, in order.

    Attributes:
        log: Such as `start a1`, `ask a1`, `a failed`; the number is that of the life.
    """

    def __init__(
        self,
        strategy: Strategy = "one_for_one",
        max_restarts: int = 3,
        within: float = 5.0,
        *,
        can_force: bool = False,
    ) -> None:
        self.now = 0.0
        self.log: list[str] = []
        self.states: list[SupervisorState] = []
        self.refused: set[str] = set()
        self.hung: list[str] = []
        self._begun: list[Life] = []
        self._can_force = can_force
        self.intensity = CountedIntensity(max_restarts, within)
        self.engine = Engine(strategy, self.intensity, self._launch, self)

    def add(
        self,
        name: str,
        restart: Restart = "permanent",
        *,
        ready: float | None = None,
        stop_timeout: float = 2.0,
    ) -> Child:
        """Add a child; its first pause is 1 s."""
        spec = ChildSpec(name, print, (), restart, ready, stop_timeout)
        child = Child(spec, RestartPolicy(1.0, 8.0, stable=60.0, intensity=self.intensity))
        self.engine.add(child, self.now)
        return child

    def start(self) -> None:
        """Start it."""
        self.engine.start(self.now)
        self.settle()

    def settle(self) -> float:
        """Let it do what is due now; return when something will be."""
        while (due := self.engine.advance(self.now)) <= self.now or self._begin():
            pass
        return due

    def _begin(self) -> bool:
        """Let the lives begin that have not; return whether there were any."""
        fresh = [one for one in self.engine.children if one.life not in {None, *self._begun}]
        for child in fresh:
            life = self.life(child.spec.name)
            self._begun.append(life)
            self.engine.began(life)
        return bool(fresh)

    def pass_time(self, seconds: float) -> None:
        """Let it do all that becomes due in the next seconds, each at its time."""
        until = self.now + seconds
        while (due := self.settle()) <= until and not self.engine.is_over:
            self.now = due
        self.now = until

    def end(self, name: str, error: str = "") -> None:
        """End the life of a child."""
        self.engine.exited(self.life(name), error, self.now)
        self.settle()

    def ready(self, name: str) -> None:
        """Let a child say that it is ready."""
        self.engine.ready(self.life(name))
        self.settle()

    def stop(self, until: float) -> None:
        """Stop it."""
        self.engine.stop(until)
        self.settle()

    def child(self, name: str) -> Child:
        """Return a child."""
        return next(child for child in self.engine.children if child.spec.name == name)

    def life(self, name: str) -> Life:
        """Return the life of a child."""
        life = self.child(name).life
        assert life is not None, f"{name} has no life"
        return life

    @property
    def state(self) -> str:
        """The state of the supervisor."""
        return self.engine.state

    @property
    def living(self) -> dict[str, int]:
        """The children with a life, and its number."""
        return {one.spec.name: one.number for one in self.engine.children if one.life is not None}

    @property
    def asked(self) -> list[str]:
        """The children that were asked to stop and have not ended."""
        return [one.spec.name for one in self.engine.children if one.stop_by is not None]

    def end_asked(self) -> list[str]:
        """End what was asked to stop, until nothing is; return the order."""
        order: list[str] = []
        while asked := self.asked:
            order.append(asked[-1])
            self.end(asked[-1])
        return order

    def _launch(self, child: Child) -> Life:
        if child.spec.name in self.refused:
            raise RuntimeError("no thread")
        self.log.append(f"{child.spec.name}{child.number}")
        return FakeLife(child, can_force=self._can_force)

    def child_changed(self, child: Child, event: str) -> None:
        """Keep it."""
        self.log.append(f"{child.spec.name} {event}")

    def child_removed(self, child: Child) -> None:
        """Keep it."""
        self.log.append(f"{child.spec.name} removed")

    def child_hangs(self, child: Child) -> None:
        """Keep it."""
        self.hung.append(child.spec.name)

    def state_changed(self, state: SupervisorState, failure: str) -> None:
        """Keep it."""
        self.states.append(state)
