"""What a journal does for its folder beside writing: recovery of the dead, retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.journal.retention import apply_retention
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.journal.opening import JournalSettings
    from otel_ext.journal.recovery import RecoveryReport
    from otel_ext.journal.segment import SegmentWriter

__all__ = ["Housekeeper"]

_RETENTION_SECONDS: Final = 60.0


class Housekeeper:
    """Keeps one folder in order, a little at a time.

    Args:
        settings: Whether to recover, and what to keep.
    """

    def __init__(self, settings: JournalSettings) -> None:
        self._settings = settings
        self._recovery: Iterator[RecoveryReport] | None = None
        self._next_retention = 0.0

    def run(self, segment: SegmentWriter, now: float) -> None:
        """Do what is due; called about once a second, never raises.

        Args:
            segment: The file that is written to.
            now: The monotonic time, seconds.
        """
        try:
            self._recover_next(segment)
            self._apply_retention(segment, now)
        except Exception as error:  # noqa: BLE001 - this process's own records go on
            report_problem(f"journal: keeping {segment.target.folder} in order", error)

    def _recover_next(self, segment: SegmentWriter) -> None:
        """End what one process that died in the same folder left open."""
        if not self._settings.recover_on_start:
            return
        if self._recovery is None:
            from otel_ext.journal.recovery import recover_each  # noqa: PLC0415 - seldom needed

            self._recovery = recover_each(segment.target.folder)
        next(self._recovery, None)

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
