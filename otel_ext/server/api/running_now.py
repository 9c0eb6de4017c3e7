"""`RunningNow`: what is known of the processes that may run, a moment ago."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.traces.observed import observed_of
from otel_ext.journal.names import list_segments, parse_segment_name
from otel_ext.observe.snapshot import Snapshot, SnapshotReader
from otel_ext.server.api.heard import Heard, hear, with_heard

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.analysis.traces.forest import Observed
    from otel_ext.store.protocol import Store

__all__ = ["Look", "RunningNow", "is_since"]

_AGAIN_SECONDS: Final = 0.25
# For how long before a look a record may not have been visible to it.
_LATE_NS: Final = 10**9


class Look(NamedTuple):
    """What is known.

    Attributes:
        snapshot: The open spans and the processes that record into the folder, as they were seen.
        recorded: The ids of all processes that have files in the folder.
        heard: What was heard of other processes.
        observed: The states of all open spans, as analyses take them.
    """

    snapshot: Snapshot
    recorded: frozenset[str]
    heard: Heard
    observed: Observed


def is_since(looked_ns: int, time_ns: int) -> bool:
    """Return whether something is so new that a look may have missed it.

    Args:
        looked_ns: When the look was taken, nanoseconds since the epoch.
        time_ns: The time of the record.
    """
    return time_ns > looked_ns - _LATE_NS


class RunningNow:
    """Looks at the processes when asked, but not more often than four times a second.

    Args:
        folder: The folder of records.
        store: Its store, with what other processes have sent.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._reader = SnapshotReader([folder], other_hosts=True)
        self._lock = Lock()
        self._look: Look | None = None
        self._next = 0.0

    def look(self) -> Look:
        """Return what runs now; safe to use from several threads.

        Raises:
            StoreError: The store cannot be read.
        """
        with self._lock:
            if self._look is None or monotonic() >= self._next:
                self._look = self._read()
                self._next = monotonic() + _AGAIN_SECONDS
            return self._look

    def _read(self) -> Look:
        snapshot = self._reader.read()
        names = (parse_segment_name(path.name) for path in list_segments(self._folder))
        recorded = frozenset(
            [
                *(name.incarnation for name in names if name is not None),
                *(process.id for process in snapshot.processes),
            ]
        )
        heard = hear(self._store, recorded, snapshot.time_ns)
        observed = with_heard(observed_of(snapshot.spans), heard, snapshot.time_ns)
        return Look(snapshot, recorded, heard, observed)
