"""Makes a supervisor visible: event records for readers, events for subscribers, and health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.events.bus import emit
from otel_ext.inflight.event_records import write_event
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
    """Writes what changes in one supervisor, on the supervisor's thread.

    Args:
        strategy: Its strategy.
        on_state: Called with each new state of the supervisor, after that is written.
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
        """Write the state of a child."""
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
        }
        life = child.life
        origin = NOWHERE if life is None else life.origin
        event = f"child.{event}"
        emit(event, {}, {"child": f"{self.id}/{name}", **attributes})
        write_event(event, attributes, entity=self._entity(name), origin=origin)
        self._set_health()

    def child_removed(self, child: Child) -> None:
        """End the entity of a child."""
        name = child.spec.name
        self._pausing.pop(name, None)
        if name in self._written:
            self._end_entity(name)
        self._on_removed(child)

    def child_hangs(self, child: Child) -> None:
        """Report a life that is left behind."""
        report_problem(f"supervisor {self.id}: child {child.spec.name}", child.error)

    def state_changed(self, state: SupervisorState, failure: str) -> None:
        """Write the state of the supervisor; one that has stopped is not listed any more."""
        if self._cell is None:
            self._cell = HealthCell(f"supervisor {self.id}")
        emit(f"supervisor.{state}", {}, {"supervisor": self.id, "error": failure})
        if state == "stopped":
            self.forget(state)
        else:
            self._write_state(state, failure)
        if state == "failed":
            self._cell.failed(failure)
            if not self.parent:
                report_problem(f"supervisor {self.id}: it has stopped its children", failure)
        else:
            self._set_health()
        self._on_state(state)

    def forget(self, state: SupervisorState = "stopped") -> None:
        """End the entities of the supervisor and its children, and its health."""
        for name in list(self._written):
            self._end_entity(name)
        self._pausing.clear()
        if self._cell is not None:
            self._write_state(state, "", is_deleted=True)
            self._cell = None

    def _write_state(
        self, state: SupervisorState, failure: str, *, is_deleted: bool = False
    ) -> None:
        write_event(
            f"supervisor.{state}",
            {
                "parent": self.parent,
                "state": state,
                "strategy": self._strategy,
                "error": failure,
            },
            entity=Entity("supervisor", self.id, is_deleted),
            origin=Origin(thread=current_thread()),
        )

    def _entity(self, name: str, *, is_deleted: bool = False) -> Entity:
        return Entity("child", f"{self.id}/{name}", is_deleted)

    def _end_entity(self, name: str) -> None:
        del self._written[name]
        attributes = {"parent": self.id}
        write_event("child.removed", attributes, entity=self._entity(name, is_deleted=True))

    def _set_health(self) -> None:
        if self._cell is None:
            return
        if self._pausing:
            name, error = next(iter(self._pausing.items()))
            self._cell.degraded(f"child {name} starts again after: {error or 'it returned'}")
        else:
            self._cell.healthy()
