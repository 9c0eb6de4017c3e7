"""Keeps a journal's folder in order while it writes: recovery of dead processes, retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.journal.recovery.retention import apply_retention
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from otel_ext.journal.recovery.watching import FolderWatch
    from otel_ext.journal.settings import JournalSettings
    from otel_ext.journal.write.segment import SegmentWriter

__all__ = ["Housekeeper"]

_RETENTION_SECONDS: Final = 60.0
# A death is to be noticed within a second.
_CHECK_SECONDS: Final = 0.5


class Housekeeper:
    """Recovers and deletes in one folder, as the settings say, in small steps."""

    def __init__(self, settings: JournalSettings) -> None:
        self._settings = settings
        self._watch: FolderWatch | None = None
        self._next_check = self._next_retention = 0.0

    def run(self, segment: SegmentWriter, now: float) -> None:
        """Do what is due `now` (monotonic); called several times a second, never raises."""
        try:
            self._recover_dead(segment, now)
            self._apply_retention(segment, now)
        except Exception as error:  # noqa: BLE001 - this process's own records go on
            report_problem(f"journal: keeping {segment.target.folder} in order", error)

    def _recover_dead(self, segment: SegmentWriter, now: float) -> None:
        """Start the recovery of processes that died and wrote to the same folder."""
        if now < self._next_check or not self._settings.recover_on_start:
            return
        self._next_check = now + _CHECK_SECONDS
        if self._watch is None:
            from otel_ext.journal.recovery.watching import FolderWatch  # noqa: PLC0415 - seldom needed

            target = segment.target
            self._watch = FolderWatch(
                target.folder, target.incarnation, rings_only=bool(target.file)
            )
        self._watch.check()

    def _apply_retention(self, segment: SegmentWriter, now: float) -> None:
        if now < self._next_retention or segment.target.file:
            return
        self._next_retention = now + _RETENTION_SECONDS
        apply_retention(
            segment.target.folder,
            max_bytes=self._settings.retention_size,
            max_age=self._settings.retention_age,
            current=segment.path,
        )
