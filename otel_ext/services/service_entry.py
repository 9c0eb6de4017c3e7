"""One registered service: what it is, whether it is ready, and its health."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING

from otel_ext.inflight.origin import NOWHERE
from otel_ext.record.capture import current_thread
from otel_ext.runtime.health import PartHealth
from otel_ext.services.announcements import ADDED, GONE, READY, Entry
from otel_ext.services.service_health import HealthCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.inflight.origin import Origin

__all__ = ["ServiceEntry"]


class ServiceEntry(Entry):
    """A service that is registered; it lets go of the service when it is removed.

    Attributes:
        name: Its name in its registry.
        service: The object; no attribute once it is removed.
        registered_by: The name of the thread that registered it.
        registered_ns: When it was registered, nanoseconds since the epoch.
    """

    __slots__ = (
        "_check",
        "_metadata",
        "_path",
        "_unready",
        "name",
        "registered_by",
        "registered_ns",
        "service",
    )
    kind = "service"

    def __init__(
        self,
        path: str,
        name: str,
        service: object,
        metadata: dict[str, object],
        check: Callable[[], object] | None,
    ) -> None:
        super().__init__()
        self._path = path
        self.name = name
        self.service = service
        self._metadata = metadata
        self._check = None if check is None else HealthCheck(name, check)
        self.registered_by = current_thread().name
        self.registered_ns = time_ns()
        self._unready = True

    def end(self) -> bool:
        """Claim its removal, and let go of the service."""
        if not super().end():
            return False
        # On the caller's thread: what still waits to be written would free it on the worker's.
        if self._check is not None:
            self._check.forget()
        del self.service
        return True

    def become_ready(self) -> bool:
        """Mark it as ready; True for one caller only."""
        try:
            del self._unready
        except AttributeError:
            return False
        return True

    @property
    def is_ready(self) -> bool:
        """Whether it is marked as ready."""
        return not hasattr(self, "_unready")

    def entity_id(self) -> str:
        """Return its name after the namespaces, such as `test-7/db`."""
        return f"{self._path}/{self.name}" if self._path else self.name

    def attributes(self, step: int) -> dict[str, object]:
        """Return its metadata and whether it is ready."""
        return self._metadata.copy() if step == GONE else {**self._metadata, "ready": step == READY}

    def origin(self) -> Origin:
        """Return nothing: a service belongs to the process."""
        return NOWHERE

    def step(self) -> int:
        """Return whether it is ready or only registered."""
        return READY if self.is_ready else ADDED

    def health(self, timeout: float) -> PartHealth:
        """Return its health by its check; without one, by whether it is ready."""
        check = self._check
        found = (
            PartHealth(self.name, "healthy", "", time_ns()) if check is None else check.run(timeout)
        )
        if found.state != "healthy" or self.is_ready:
            return found
        return PartHealth(self.name, "degraded", "it is not ready", time_ns())
