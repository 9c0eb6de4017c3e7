"""The thread of a supervisor: takes messages, one after the other, and starts lives."""

from __future__ import annotations

import queue
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from otel_ext.errors import OtelExtError
from otel_ext.runtime.guard import describe, report_problem
from otel_ext.runtime.restarts import Intensity, RestartPolicy
from otel_ext.services.supervision.child import Child, is_coroutine_target
from otel_ext.services.supervision.context import StopSignal
from otel_ext.services.supervision.engine import Engine
from otel_ext.services.supervision.lives import TaskLife, ThreadLife, Work
from otel_ext.services.supervision.visible import Visible

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from otel_ext.services.supervision.child import Life
    from otel_ext.services.supervision.context import ChildContext
    from otel_ext.services.supervision.engine import Strategy, SupervisorState

__all__ = ["Claim", "Run", "Settings", "SupervisorFailedError"]

# The longest wait of the thread for a message, in seconds: the system has a limit.
_LONGEST_WAIT: Final = 3_600.0
# A supervisor below another one ends so much before that would leave it behind.
_MARGIN: Final = 0.05


class SupervisorFailedError(OtelExtError):
    """A supervisor has failed: such as, because its children need too many restarts.

    It is raised to the supervisor above it, and by `with`.
    """

    code = "supervisor"


class Claim(NamedTuple):
    """The signals of one time that a supervisor runs.

    Attributes:
        started: Set when all children have started, or it ends.
        ended: Set when it has stopped or failed, and may run again.
    """

    started: StopSignal
    ended: StopSignal


class Settings(NamedTuple):
    """The arguments of a supervisor that say how it starts children again."""

    strategy: Strategy
    max_restarts: int
    within: float
    initial_interval: float
    max_interval: float
    randomization: Callable[[], float] | None

    def policy(self, intensity: Intensity) -> RestartPolicy:
        """Return the policy of one child."""
        return RestartPolicy(
            self.initial_interval,
            self.max_interval,
            stable=self.within,
            intensity=intensity,
            randomization=None if self.randomization is None else self._randomized,
        )

    def _randomized(self) -> float:
        """Return the program's random number; 1 if its function fails."""
        try:
            assert self.randomization is not None  # noqa: S101 - see `policy`
            return max(0.0, min(1.0, float(self.randomization())))
        except Exception as error:  # noqa: BLE001 - the child must start again all the same
            report_problem("the randomization of a supervisor", error)
            return 1.0


class Below(Protocol):
    """What a supervisor needs of one that is its child."""

    def run_below(
        self, name: str, parent: Run, context: ChildContext, inside: tuple[object, ...]
    ) -> None:
        """Run until it has stopped or failed."""
        ...

    def stop_below(self, until: float) -> None:
        """Stop."""
        ...

    def forget_below(self) -> None:
        """End its entities."""
        ...


class Run:
    """The engine of one supervisor with its messages; a forked child gets a new one.

    Args:
        settings: How children start again.
        on_removed: Called with a child that is not one of its children any more.

    Attributes:
        loop: Where coroutine functions run; None without one.
        id: The id of the supervisor.
        on_ready: Called when all children have started.
        on_end: Called when it ends, just before another thread may claim it.
    """

    def __init__(self, settings: Settings, on_removed: Callable[[Child], object]) -> None:
        self.intensity = Intensity(settings.max_restarts, settings.within)
        self.visible = Visible(settings.strategy, self._note_state, on_removed)
        self.engine = Engine(settings.strategy, self.intensity, self._launch, self.visible)
        self.loop: AbstractEventLoop | None = None
        self.id = ""
        self.on_ready: Callable[[], object] = tuple
        self.on_end: Callable[[], object] = tuple
        self._inside: tuple[object, ...] = ()
        # The newest claim whose start has come, or was given up.
        self._begun: Claim | None = None
        # The newest claim that was to stop before its start has come, and until when.
        self._stopped: tuple[Claim, float] | None = None
        # Has one item while it runs: to claim it, and to end that, is one call each.
        self._claims: dict[str, Claim] = {}
        self._messages: queue.SimpleQueue[Callable[[float], object]] = queue.SimpleQueue()

    @property
    def current(self) -> Claim | None:
        """The signals of this time; None if it does not run."""
        return self._claims.get("run")

    @property
    def is_claimed(self) -> bool:
        """Whether it runs."""
        return self.current is not None

    @property
    def state(self) -> SupervisorState:
        """The state of the supervisor."""
        claim = self.current
        state = self.engine.state
        if state not in {"stopped", "failed"} or claim is None:
            return state
        return "stopping" if claim is self._begun else "starting"

    @property
    def failure(self) -> str:
        """Why it has failed; empty if it has not."""
        return self.engine.failure if self.state == "failed" else ""

    def post(self, message: Callable[[float], object]) -> None:
        """Let its thread call `message` with the time; from any thread, never waits."""
        self._messages.put(message)

    def claim(self, loop: AbstractEventLoop | None) -> Claim | None:
        """Reserve it for one thread that will call `supervise`; return None if it is."""
        claim = Claim(StopSignal(), StopSignal())
        if self._claims.setdefault("run", claim) is not claim:
            return None
        self.loop = loop
        self.post(partial(self._start, claim))
        return claim

    def _start(self, claim: Claim, now: float) -> None:
        if claim is not self.current:  # it was given up
            return
        self.engine.start(now)
        self._begun = claim
        if self._stopped is not None and self._stopped[0] is claim:
            self.engine.stop(self._stopped[1])

    def ask_to_stop(self, until: float) -> Claim | None:
        """Let the children stop until then; return None if it does not run."""
        claim = self.current
        if claim is not None:
            self.post(lambda _: self._stop(claim, until))
        return claim

    def _stop(self, claim: Claim, until: float) -> None:
        if claim is not self.current:  # it has ended meanwhile: not for the next time it runs
            return
        if claim is self._begun:
            self.engine.stop(until)
        else:
            self._stopped = claim, until

    def give_up(self) -> None:
        """Take the reservation back; what was posted stays for the next one."""
        self._begun = self.current
        self._end()

    def name_it(self, name: str, parent: str, inside: tuple[object, ...]) -> None:
        """Set its id, that of the supervisor above it, and the supervisors around its lives."""
        self.id = self.visible.id = name
        self.visible.parent = parent
        self._inside = inside

    def supervise(self) -> None:
        """Start, watch and stop the children, until all have ended; the body of its thread."""
        engine = self.engine
        try:
            while engine.is_over:  # until the message of `claim` has come
                self._take(None)
            due = engine.advance(monotonic())
            while self.engine.is_over is False:
                self._take(due)
                due = engine.advance(monotonic())
        except BaseException as error:  # noqa: BLE001 - else a silent end of supervision
            with suppress(Exception):
                engine.fail_at_once(f"it cannot go on: {describe(error)}")
        finally:
            self._end()

    def raise_failure(self) -> None:
        """Raise SupervisorFailedError if it has failed."""
        if self.failure:
            raise SupervisorFailedError(self.failure)

    def forget(self) -> None:
        """End the entities that it has left, because it has failed."""
        self.visible.forget()
        self._forget_below()

    def _end(self) -> None:
        self.on_end()
        # Those of this time: as soon as it is free another thread may claim it.
        claim = self._claims.pop("run")
        claim.started.set()
        claim.ended.set()

    def _take(self, due: float | None) -> None:
        """Wait until `due` for a message, and do what it says."""
        wait = None if due is None else min(max(due - monotonic(), 0.0), _LONGEST_WAIT)
        try:
            message = self._messages.get(timeout=wait)
        except queue.Empty:
            return
        try:
            message(monotonic())
        except Exception as error:  # noqa: BLE001 - it must go on to watch the children
            report_problem(f"supervisor {self.id}", error)

    def _note_state(self, state: SupervisorState) -> None:
        claim = self.current
        if state == "running" and claim is not None:
            claim.started.set()
            self.on_ready()
        elif state == "stopped":
            self._forget_below()

    def _forget_below(self) -> None:
        for child in self.engine.children:
            forget = getattr(child.spec.target, "forget_below", None)
            if forget is not None:
                forget()

    def _launch(self, child: Child) -> Life:
        """Start a life of a child."""
        spec = child.spec
        before = None if child.last is None else child.last.span_context
        target, args = spec.target, spec.args
        work = Work(spec.name, self.id, child.number, target, args, before, self._inside)
        if self.loop is not None and is_coroutine_target(target):
            task = TaskLife(work, self, self.loop)
            task.start()
            return task
        on_ask = None
        if hasattr(target, "run_below"):
            below = cast("Below", target)
            work = work._replace(target=partial(_run_below, below, self, work), args=())
            on_ask = partial(_stop_below, below)
        thread = ThreadLife(work, self, on_ask)
        thread.start()
        return thread

    def began(self, life: object) -> None:
        """Take that a life runs."""
        self.post(lambda _: self.engine.began(cast("Life", life)))

    def ready(self, life: object) -> None:
        """Take that a life is ready."""
        self.post(lambda _: self.engine.ready(cast("Life", life)))

    def exited(self, life: object, error: str) -> None:
        """Take that a life has ended."""
        self.post(lambda now: self.engine.exited(cast("Life", life), error, now))


def _run_below(below: Below, parent: Run, work: Work, context: ChildContext) -> None:
    below.run_below(work.name, parent, context, work.inside)


def _stop_below(below: Below, until: float) -> None:
    below.stop_below(until if until == inf else until - _MARGIN)
