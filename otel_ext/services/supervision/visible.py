"""Makes a supervisor visible: event records for readers, events for subscribers, and health.

The supervisor's thread only queues the events: a subscriber may raise `SystemExit` or hang.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.events.deferred import DeferredEvent, deferred_events
from otel_ext.inflight.origin import NOWHERE, Origin
from otel_ext.record.capture import current_thread
from otel_ext.record.entities import Entity
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.services.supervision.child import Child
    from otel_ext.services.supervision.engine import Strategy, SupervisorState

__all__ = ["Visible"]


class Visible:
    """Queues what changes in one supervisor, in order; the worker writes and emits it.

    Args:
        strategy: Its strategy.
        on_state: Called with each new state of the supervisor, after that is queued.
        on_removed: Called with a child that is not one of its children any more.
    """

    def __init__(
        self,
        strategy: Strategy,
        on_state: Callable[[SupervisorState], object],
        on_removed: Callable[[Child], object],
    ) -> None:
        self.id = ""
        self.parent = ""
        self._strategy = strategy
        self._on_state = on_state
        self._on_removed = on_removed
        self._written: dict[str, None] = {}
        self._pausing: dict[str, str] = {}
        self._cell: HealthCell | None = None

    def child_changed(self, child: Child, event: str) -> None:
        """Queue the state of a child."""
        name = child.spec.name
        self._written[name] = None
        self._pausing.pop(name, None)
        if child.state == "backoff":
            self._pausing[name] = child.error
        attributes: dict[str, object] = {
            "parent": self.id,
            "state": child.state,
            "restarts": child.restarts,
            "life": child.number,
            "error": child.error,
            "position": child.position,
        }
        _put(
            DeferredEvent(
                f"child.{event}",
                metadata={"child": f"{self.id}/{name}", **attributes},
                entity=self._entity(name),
                origin=_origin_of(child, event),
                recorded=attributes,
            )
        )
        self._set_health()

    def child_removed(self, child: Child) -> None:
        """End the entity of a child."""
        name = child.spec.name
        self._pausing.pop(name, None)
        self._end_entity(name)
        self._on_removed(child)

    def child_hangs(self, child: Child) -> None:
        """Report a life that is left behind."""
        report_problem(f"supervisor {self.id}: child {child.spec.name}", child.error)

    def state_changed(self, state: SupervisorState, failure: str) -> None:
        """Queue the state of the supervisor; one that has stopped is not listed any more."""
        cell = self._cell = self._cell or HealthCell(f"supervisor {self.id}")
        if state == "stopped":
            self._end_children()
            self._cell = None
        self._put_state(state, failure, is_deleted=state == "stopped")
        if state == "failed":
            cell.failed(failure)
            if not self.parent:
                report_problem(f"supervisor {self.id}: it has stopped its children", failure)
        else:
            self._set_health()
        self._on_state(state)

    def forget(self) -> None:
        """End the entities of the supervisor and its children, and its health."""
        self._end_children()
        if self._cell is not None:
            self._put_state("stopped", "", is_deleted=True, is_emitted=False)
            self._cell = None

    def _end_children(self) -> None:
        for name in self._written.copy():
            self._end_entity(name)
        self._pausing.clear()

    def _put_state(
        self,
        state: SupervisorState,
        failure: str,
        *,
        is_deleted: bool = False,
        is_emitted: bool = True,
    ) -> None:
        _put(
            DeferredEvent(
                f"supervisor.{state}",
                metadata={"supervisor": self.id, "error": failure},
                entity=Entity("supervisor", self.id, is_deleted),
                origin=Origin(thread=current_thread()),
                recorded={
                    "parent": self.parent,
                    "state": state,
                    "strategy": self._strategy,
                    "error": failure,
                },
                is_emitted=is_emitted,
            )
        )

    def _entity(self, name: str, *, is_deleted: bool = False) -> Entity:
        return Entity("child", f"{self.id}/{name}", is_deleted)

    def _end_entity(self, name: str) -> None:
        try:
            del self._written[name]
        except KeyError:  # it never had one, or another thread ends it
            return
        _put(
            DeferredEvent(
                "child.removed",
                entity=self._entity(name, is_deleted=True),
                recorded={"parent": self.id},
                is_emitted=False,
            )
        )

    def _set_health(self) -> None:
        if self._cell is None:
            return
        if self._pausing:
            name, error = next(iter(self._pausing.items()))
            self._cell.degraded(f"child {name} starts again after: {error or 'it returned'}")
        else:
            self._cell.healthy()


def _origin_of(child: Child, event: str) -> Origin:
    """Return who owns a child; for a restart, the span of the life before."""
    if event == "restarted" and child.last is not None:
        before = child.last.origin
        # Not its thread, which may be another one's by now.
        return Origin(before.trace_id, before.span_id)
    return NOWHERE if child.life is None else child.life.origin


def _put(event: DeferredEvent) -> None:
    deferred_events().add(_unchanged, event)


def _unchanged(event: DeferredEvent) -> DeferredEvent:
    return event
