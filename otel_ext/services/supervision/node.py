"""One supervisor in the tree of supervisors: its children, its run, and what is above it."""

from __future__ import annotations

import threading
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.events.deferred import deferred_events
from otel_ext.runtime.deadline import EXIT_SECONDS, shut_down_at_exit
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.services.supervision.child import Child, ChildSpec, is_coroutine_target
from otel_ext.services.supervision.lives import INSIDE
from otel_ext.services.supervision.run import Claim, Run, Settings

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from otel_ext.services.supervision.context import ChildContext

__all__ = ["Node"]

# The exit of the program waits so long for the children, and then for the last records.
_EXIT_SECONDS: Final = EXIT_SECONDS * 0.75
_MARGIN: Final = 0.1
# What a stop may take beyond its deadlines: the supervisor's own work.
_OWN_SECONDS: Final = 1.0
_FORKED: Final = "this process was forked: the children run in its parent"

# The outermost supervisors that run, by their id.
_running: Final[dict[str, Node]] = {}
# Until when the exit of the program waits for them all, by the monotonic clock; empty before.
_exit_until: Final[dict[str, float]] = {}


class Node:
    """One supervisor of a tree; `Supervisor` is what programs see of it.

    Args:
        name: Its name.
        settings: How it starts children again.

    Attributes:
        children: The children by name, in their order.
        parent: The supervisor above it; None for the outermost.
        run: Its engine and messages.
        error: Why its children do not run here, if that is not their failure.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.children: dict[str, Child] = {}
        self.parent: Node | None = None
        self.error = ""
        self.run = Run(settings, self._forget_child)
        self._is_registered = False
        self._inherited: list[object] = []
        after_fork_in_child(self._reset)

    def add(self, spec: ChildSpec) -> None:
        """Add a child.

        Raises:
            ConfigError: It cannot be one of the children.
        """
        run, name = self.run, spec.name
        if run.is_claimed and run.loop is None:
            self.check_loop(spec)
        child = Child(spec, self.settings.policy(run.intensity))
        if self.children.setdefault(name, child) is not child:
            raise ConfigError(
                f"supervisor {self.name!r} has a child called {name!r} already",
                hint="Give each child a name of its own.",
            )
        if isinstance(spec.target, Node):
            try:
                spec.target.take_parent(self)
            except ConfigError:
                del self.children[name]
                raise
        run.post(lambda now: run.engine.add(child, now))

    def check_loop(self, *added: ChildSpec) -> None:
        """Refuse coroutine functions where no event loop runs them."""
        known = [child.spec for child in self.children.copy().values()]
        for spec in added or known:
            if isinstance(spec.target, Node):
                spec.target.check_loop()
            elif is_coroutine_target(spec.target):
                raise ConfigError(
                    f"supervisor {self.name!r}: the child {spec.name!r} is a coroutine function,"
                    " and no event loop was given",
                    hint="Start it with `async with`, or with `await supervisor.start_async()`.",
                )

    def take_parent(self, parent: Node) -> None:
        """Become a child of `parent`.

        Raises:
            ConfigError: It has a parent, runs, or is above `parent`.
        """
        above: Node | None = parent
        while above is not None:
            if above is self:
                raise ConfigError(
                    f"supervisor {self.name!r} would be a child of itself",
                    hint="Supervisors form a tree.",
                )
            above = above.parent
        if self.parent is not None or self.run.is_claimed:
            problem = "runs already" if self.parent is None else "is a child already"
            raise ConfigError(
                f"supervisor {self.name!r} {problem}",
                hint="Add each supervisor to one other, before that starts it.",
            )
        self.parent = parent

    def begin(self, loop: AbstractEventLoop | None) -> Claim:
        """Start the thread that starts the children; return the signals of this run.

        Raises:
            ConfigError: It runs already, or another supervisor starts it.
        """
        check_process()
        if self.parent is not None:
            raise ConfigError(
                f"supervisor {self.name!r} is a child of {self.parent.name!r}, which starts it",
                hint="Start the outermost supervisor.",
            )
        run = self.run
        claim = run.claim(loop)
        if claim is None:
            raise ConfigError(
                f"supervisor {self.name!r} is {run.state} already",
                hint="Stop it before it is started again.",
            )
        self.error = ""
        name = self._reserved_id()
        run.name_it(name, "", (self,))
        run.on_end = partial(_running.pop, name, None)
        if not self._is_registered:
            self._is_registered = True
            deferred_events()  # made before, so that the exit writes what comes from the stop
            shut_down_at_exit(self._stop_at_exit)
        try:
            threading.Thread(target=self._supervise, name=run.id, daemon=True).start()
        except RuntimeError as error:  # the system has no thread for it
            self.error = f"it cannot start: {error}"
            run.give_up()
        return claim

    def _reserved_id(self) -> str:
        """Return its name, with a number if another supervisor of this name runs."""
        number, name = 1, self.name
        while _running.setdefault(name, self) is not self:
            number += 1
            name = f"{self.name}#{number}"
        return name

    def _supervise(self) -> None:
        INSIDE.set((self,))
        self.run.supervise()

    def run_below(
        self, name: str, parent: Run, context: ChildContext, inside: tuple[object, ...]
    ) -> None:
        """Run as a child of another supervisor, on the thread of this life.

        Raises:
            SupervisorFailedError: Its children need too many restarts.
        """
        run = self.run
        if run.claim(parent.loop) is None:
            raise ConfigError(f"supervisor {self.name!r} still runs", hint="It has to end first.")
        run.name_it(f"{parent.id}/{name}", parent.id, (*inside, self))
        run.on_ready = context.ready
        INSIDE.set((*inside, self))
        if context.stopping.is_set():
            run.give_up()
            return
        run.supervise()
        run.raise_failure()

    def stop_below(self, until: float) -> None:
        """Stop as a child of another supervisor."""
        self.run.post(lambda _: self.run.engine.stop(until))

    def forget_below(self) -> None:
        """End the entities that a failed supervisor leaves."""
        self.run.forget()

    def ask_to_stop(self, timeout: float | None) -> Claim | None:
        """Let the children stop; return None if none run."""
        check_process()
        claim = self.run.ask_to_stop(inf if timeout is None else monotonic() + timeout)
        if claim is None:
            self.run.forget()
        return claim

    def longest(self, timeout: float | None) -> float:
        """Return how long a stop may take, in seconds."""
        return (self.stop_seconds() if timeout is None else timeout) + _OWN_SECONDS

    def stop_seconds(self) -> float:
        """Return how long the deadlines of its children are together, in seconds."""
        total = 0.0
        for child in self.children.copy().values():
            target, seconds = child.spec.target, child.spec.stop_timeout
            if isinstance(target, Node):
                seconds = min(seconds, target.stop_seconds())
            total += seconds + _OWN_SECONDS
        return total

    def has_hanging(self) -> bool:
        """Return whether a life of a child was left behind and still runs."""
        for child in self.children.copy().values():
            target = child.spec.target
            if child.has_hanging or (isinstance(target, Node) and target.has_hanging()):
                return True
        return False

    def _forget_child(self, child: Child) -> None:
        self.children.pop(child.spec.name, None)
        if isinstance(child.spec.target, Node):
            child.spec.target.parent = None

    def _stop_at_exit(self) -> None:
        """Stop all supervisors at the same time, and wait for them until one deadline."""
        until = _exit_until.setdefault("until", monotonic() + _EXIT_SECONDS)
        nodes = _running.copy().values()
        claims = [node.ask_to_stop(max(until - monotonic(), 0.0)) for node in nodes]
        for claim in claims:
            if claim is not None:
                claim.ended.wait(max(until + _MARGIN - monotonic(), 0.0))

    def _reset(self) -> None:
        """Forget the lives, which a forked child does not have; the children stay."""
        if self.run.is_claimed:
            self.error = _FORKED
        self.run.on_end()
        _exit_until.clear()
        # Kept, because freeing them could run code of the program within the fork.
        self._inherited.append((self.run, self.children))
        self.run = run = Run(self.settings, self._forget_child)
        self.children = {
            name: Child(child.spec, self.settings.policy(run.intensity))
            for name, child in self.children.items()
        }
        for child in self.children.values():
            run.engine.add(child, 0.0)
