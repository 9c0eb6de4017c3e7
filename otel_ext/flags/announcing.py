"""Tells OpenFeature's handlers and our records that a flag file has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from openfeature.event import ProviderEvent, ProviderEventDetails

from otel_ext.events import record_event
from otel_ext.inflight.origin import NOWHERE
from otel_ext.runtime.isolated import IsolatedThread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.flags.stages import Rollout
    from otel_ext.flags.watched import Change, WatchedFile

    Emit: TypeAlias = Callable[[ProviderEvent, ProviderEventDetails], object]

__all__ = ["STAGE_EVENT", "Announcer"]

STAGE_EVENT: Final = "feature_flag.stage"
"""The event record of a flag whose stage has changed."""

_EVENTS: Final = {
    "ready": ProviderEvent.PROVIDER_READY,
    "stale": ProviderEvent.PROVIDER_STALE,
    "changed": ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
}


class Announcer:
    """Tells of changes on a thread of its own, which ends after the last one.

    OpenFeature takes locks to call handlers, and a forked child may find them held.

    Args:
        file: The flag file.

    >>> from pathlib import Path
    >>> from otel_ext.flags.watched import WatchedFile
    >>> file, emitted = WatchedFile(Path("flags.json")), []
    >>> emit = lambda event, details: emitted.append(event.name)
    >>> Announcer(file).tell(emit, "stale", [])
    >>> emitted
    ['PROVIDER_STALE']
    """

    def __init__(self, file: WatchedFile) -> None:
        self._file = file
        self._thread = IsolatedThread("feature flag events", stays=False)
        self._stages = self._stages_now()

    def announce(self, emit: Emit, change: Change, names: list[str]) -> None:
        """Tell of a change soon; never waits.

        Args:
            emit: Emits an event of OpenFeature's provider.
            change: What has changed.
            names: The flags that are new, gone or different.
        """
        self._thread.submit(self.tell, emit, change, names, is_left=True)

    def tell(self, emit: Emit, change: Change, names: list[str]) -> None:
        """Tell of a change, on this thread."""
        self._record_stages()
        details = ProviderEventDetails(flags_changed=names, message=self._file.problem or None)
        emit(_EVENTS[change], details)
        if change == "ready" and names:
            emit(_EVENTS["changed"], details)

    def _stages_now(self) -> Mapping[str, Rollout]:
        rules = self._file.rules
        return {} if rules is None else rules.rollouts

    def _record_stages(self) -> None:
        before, self._stages = self._stages, self._stages_now()
        for name, rollout in self._stages.items():
            known = before.get(name)
            if known is None or known.stage != rollout.stage:
                measurements = {"stage": rollout.stage, "percentage": rollout.percentage}
                facts = {"feature_flag.key": name}
                record_event(STAGE_EVENT, measurements, facts, origin=NOWHERE)
