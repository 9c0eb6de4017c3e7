"""Decides which children of a supervisor start and stop, and when.

It starts no thread, reads no clock and never waits: `Supervisor` calls it on one thread
with what has happened, and then `advance` with the time. Its rules:

- Of the children of one batch that must stop, the last one is asked first; the next one
  when that has ended, or was left behind at its deadline.
- Children of one batch start in their order, each when the one before it is up, and not
  before all of the batch that must stop have.
- A child that has to start again takes those with it that the strategy names; together
  they are a new batch.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.runtime.restarts import Intensity
    from otel_ext.services.supervision.child import Child, ChildState, Life

__all__ = ["MAX_HANGING", "STRATEGIES", "Engine", "Notes", "Strategy", "SupervisorState"]

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
STRATEGIES: Final[tuple[Strategy, ...]] = ("one_for_one", "one_for_all", "rest_for_one")

SupervisorState = Literal["starting", "running", "stopping", "stopped", "failed"]

MAX_HANGING: Final = 8
"""So many lives of one child may hang; with more the supervisor fails."""

# The time for a life to end that was ended by other means than by asking.
_FORCED_SECONDS: Final = 1.0


class Notes(Protocol):
    """Gets what has changed, to make it visible."""

    def child_changed(self, child: Child, event: str) -> None:
        """Take a new state of a child; `event` is its last word, such as `restarted`."""
        ...

    def child_removed(self, child: Child) -> None:
        """Take the end of a child that is not one of the supervisor's any more."""
        ...

    def child_hangs(self, child: Child) -> None:
        """Take that a life did not end in time and is left behind."""
        ...

    def state_changed(self, state: SupervisorState, failure: str) -> None:
        """Take a new state of the supervisor, and why it fails, if it does."""
        ...


class Engine:
    """The children of one supervisor and what is to become of them.

    Args:
        strategy: Which children start again with one that does.
        intensity: How many restarts there may be.
        launch: Starts a life of a child; may raise.
        notes: Gets what has changed.
    """

    def __init__(
        self,
        strategy: Strategy,
        intensity: Intensity,
        launch: Callable[[Child], Life],
        notes: Notes,
    ) -> None:
        self._strategy = strategy
        self._intensity = intensity
        self._launch = launch
        self._notes = notes
        self._batches = count(1)
        self._until = inf
        self.children: list[Child] = []
        self.state: SupervisorState = "stopped"
        self.failure = ""

    @property
    def is_over(self) -> bool:
        """Whether it has stopped or failed, and no child runs."""
        return self.state in {"stopped", "failed"}

    @property
    def is_ending(self) -> bool:
        """Whether it starts no child any more."""
        return self.is_over or self.state == "stopping"

    def start(self, now: float) -> None:
        """Start all children in their order."""
        self._intensity.reset()
        self._until, self.failure = inf, ""
        self._set("starting")
        batch = next(self._batches)
        for child in self.children:
            child.policy.reset()
            child.batch, child.start_at, child.error = batch, now, ""

    def add(self, child: Child, now: float) -> None:
        """Add a child; start it unless the supervisor ends."""
        child.position = self.children[-1].position + 1 if self.children else 1
        self.children.append(child)
        child.batch = next(self._batches)
        if not self.is_ending:
            child.start_at = now

    def stop(self, until: float) -> None:
        """Stop all children, the last one first, at most until then."""
        self._until = min(self._until, until)
        if not self.is_ending:
            self._end_all()

    def fail_at_once(self, failure: str) -> None:
        """Fail for an error that is not a child's: ask all to end, and watch none any more."""
        self.failure = failure
        for child in reversed(self.children):
            child.start_at, life = None, child.life
            child.end_life()
            with suppress(Exception):  # the others are asked all the same
                if life is not None:
                    child.hanging.append(life)
                    life.ask(inf)
                self._note(child, "failed")
        self._set("failed")

    def began(self, life: Life) -> None:
        """Take that a life runs: its thread and span are known."""
        child = self._child_of(life)
        if child is not None and child.stop_by is None:
            child.is_up = child.ready_by is None
            self._note(child, "running" if child.is_up else "starting")

    def ready(self, life: Life) -> None:
        """Take that a life says it is ready."""
        child = self._child_of(life)
        if child is not None and child.state != "ready" and child.stop_by is None:
            child.is_up, child.ready_by = True, None
            self._note(child, "ready")

    def exited(self, life: Life, error: str, now: float) -> None:
        """Take that a life has ended; `error` is empty if it has returned as it should."""
        child = self._child_of(life)
        if child is None:
            for one in self.children:
                if life in one.hanging:
                    one.hanging.remove(life)
            return
        was_to_stop, was_up = child.must_stop, child.is_up
        if not was_to_stop:
            child.error = error
        self._end(child, has_failed=child.is_late if was_to_stop else bool(error))
        if not was_to_stop and not self.is_ending:
            self._ended_by_itself(child, now, was_up=was_up)

    def advance(self, now: float) -> float:
        """Do all that is due; return when something will be, infinity for never."""
        due = min(self._stop_some(now), self._check_readiness(now))
        was_ending = self.is_ending
        due = min(due, self._start_some(now))
        if self.is_ending:
            if not was_ending:  # a child could not start: now the others stop
                return now
            if not self.is_over and not any(child.must_stop for child in self.children):
                self._set("failed" if self.failure else "stopped")
        elif self.state == "starting" and all(self._has_started(one) for one in self.children):
            self._set("running")
        return due

    def _has_started(self, child: Child) -> bool:
        return child.start_at is None and (child.life is None or child.is_up)

    def _child_of(self, life: Life) -> Child | None:
        return next((child for child in self.children if child.life is life), None)

    def _note(self, child: Child, state: ChildState, event: str = "") -> None:
        child.state = state
        self._notes.child_changed(child, event or state)

    def _set(self, state: SupervisorState) -> None:
        self.state = state
        self._notes.state_changed(state, self.failure)

    def _end(self, child: Child, *, has_failed: bool) -> None:
        """Note the end of a child's life."""
        child.end_life()
        if child.start_at is not None:
            self._note(child, "backoff")
        else:
            self._note(child, "failed" if has_failed else "stopped")
        if child.is_leaving:
            self._remove(child)

    def _remove(self, child: Child) -> None:
        self.children.remove(child)
        self._notes.child_removed(child)

    def _ended_by_itself(self, child: Child, now: float, *, was_up: bool) -> None:
        restart = child.spec.restart
        if restart == "permanent" or (restart == "transient" and child.error):
            self._restart(child, now, was_up=was_up)
        elif restart == "temporary":
            self._remove(child)

    def _restart(self, child: Child, now: float, *, was_up: bool) -> None:
        """Start a child again after a pause, with those that the strategy names."""
        pause = child.policy.failed(now, child.error)
        if pause == inf:
            limit = self._intensity
            self._fail(
                f"child {child.spec.name} needs another restart after {limit.max_restarts} "
                f"in {limit.within:g} s: {child.error or 'it returned'}",
                child,
            )
            return
        # A child that others still wait for keeps its place in their batch.
        if was_up or self._strategy != "one_for_one":
            child.batch = next(self._batches)
        for one in self._taken_along(child):
            one.batch = child.batch
            one.must_stop = one.life is not None
            if one is not child and one.spec.restart == "temporary":
                one.start_at, one.is_leaving = None, True
                if one.life is None:
                    self._remove(one)
                continue
            one.start_at = now + pause
            if one.life is None:
                self._note(one, "backoff")

    def _taken_along(self, child: Child) -> list[Child]:
        if self._strategy == "one_for_all":
            return self.children.copy()
        if self._strategy == "rest_for_one":
            return self.children[self.children.index(child) :]
        return [child]

    def _fail(self, failure: str, child: Child) -> None:
        self.failure = failure
        if child.life is None:
            self._note(child, "failed")
        self._end_all()

    def _end_all(self) -> None:
        batch = next(self._batches)
        for child in self.children:
            child.batch, child.must_stop = batch, child.life is not None
            child.start_at = None
            if child.state == "backoff":
                self._note(child, "stopped")
        self._set("stopping")

    def _stop_some(self, now: float) -> float:
        """Ask the last child of each batch to stop that must; return the soonest deadline."""
        due, batches = inf, set[int]()
        for child in reversed(self.children.copy()):
            if not child.must_stop or child.batch in batches:
                continue
            life = child.life
            assert life is not None  # noqa: S101 - it ends with `must_stop`
            if child.stop_by is None:
                child.stop_by = now + child.spec.stop_timeout
                child.ready_by = None
                self._note(child, "stopping")
                life.ask(min(child.stop_by, self._until))
            until = min(child.stop_by, self._until)
            if now >= until and not child.is_forced and life.force():
                child.is_forced = True
                child.stop_by = now + _FORCED_SECONDS
                until = min(child.stop_by, self._until)
            if now >= until:
                self._leave_behind(child, life)
            else:
                batches.add(child.batch)
                due = min(due, until)
        return due

    def _leave_behind(self, child: Child, life: Life) -> None:
        child.hanging.append(life)
        child.error = f"life {child.number} did not end in time and is left behind"
        self._notes.child_hangs(child)
        self._end(child, has_failed=True)

    def _check_readiness(self, now: float) -> float:
        """Take children as failed that are not ready in time; return the soonest deadline."""
        due = inf
        for child in self.children.copy():
            if child.ready_by is None or self.is_ending:
                continue
            if now < child.ready_by:
                due = min(due, child.ready_by)
                continue
            child.ready_by = None
            child.error = f"it was not ready within {child.spec.ready:g} s"
            child.must_stop = child.is_late = True
            if child.spec.restart == "temporary":
                child.is_leaving = True
            else:
                self._restart(child, now, was_up=False)
            due = now  # what must stop now is asked next
        return due

    def _start_some(self, now: float) -> float:
        """Start each child whose turn it is; return the soonest time for another."""
        due = inf
        blocked = {child.batch for child in self.children if child.must_stop}
        for child in self.children.copy():
            if child.batch in blocked or self.is_ending:
                continue
            if child.start_at is not None:
                if now < child.start_at:
                    due = min(due, child.start_at)
                    blocked.add(child.batch)
                    continue
                self._begin_life(child, now)
            if not self._has_started(child):
                blocked.add(child.batch)
            if child.start_at is not None:
                due = min(due, child.start_at)
        return due

    def _begin_life(self, child: Child, now: float) -> None:
        if len(child.hanging) > MAX_HANGING:
            self._fail(f"{len(child.hanging)} lives of child {child.spec.name} hang", child)
            return
        child.start_at = None
        child.number += 1
        child.policy.started(now)
        self._note(child, "starting", "restarted" if child.number > 1 else "starting")
        child.ready_by = None if child.spec.ready is None else now + child.spec.ready
        try:
            child.life = self._launch(child)
        except Exception as error:  # noqa: BLE001 - no thread, or no event loop, for one
            child.error = f"it cannot start: {error}"
            self._end(child, has_failed=True)
            self._ended_by_itself(child, now, was_up=False)
        else:
            child.last = child.life
