"""Keeps a journal's folder in order while it writes: recovery of dead processes, retention.

The death of another process that wrote to the folder is noticed within a second. Each process
checks the one that follows it in the order of names, and the next if that one is dead. So
together the living check all, and each hardly more than one. Recovery runs on a thread of its
own that ends afterwards, so this process's records never wait for it.
"""

from __future__ import annotations

from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.journal.files import ends_with_process_end
from otel_ext.journal.liveness import identity_from_id, is_alive
from otel_ext.journal.names import newest_segments
from otel_ext.journal.read.incarnations import modified_ns
from otel_ext.journal.read.replaced_programs import is_replaced_by
from otel_ext.journal.recovery.locking import incarnations_with_ring
from otel_ext.journal.recovery.retention import apply_retention
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.isolated import IsolatedThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_ext.journal.settings import JournalSettings
    from otel_ext.journal.write.segment import SegmentWriter

__all__ = ["FolderWatch", "Housekeeper"]

_RETENTION_SECONDS: Final = 60.0
# A death is to be noticed within a second.
_CHECK_SECONDS: Final = 0.5
# Every so many checks all processes are checked, since a stopped one checks none.
_CHECK_ALL_EVERY: Final = 10
# When to try again: an uncertain process or a failed recovery, and a busy one.
_RETRY_SECONDS: Final = 30.0
_BUSY_SECONDS: Final = 1.0
# A folder may contain thousands of files of processes that ended long ago.
_MAX_AT_ONCE: Final = 50


class Housekeeper:
    """Recovers and deletes in one folder, as configured, in small steps."""

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
        folder, own, file, _ = segment.target
        self._watch = self._watch or FolderWatch(folder, own, rings_only=bool(file))
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


class FolderWatch:
    """Recovers processes that died and wrote to one folder, also before this one started.

    Args:
        folder: The folder of records.
        own: Id of this process's incarnation.
        rings_only: Whether to check ring buffers only, because this journal writes to one
            named file and other files of the folder may be the user's.
    """

    def __init__(self, folder: Path, own: str, *, rings_only: bool = False) -> None:
        self._folder = folder
        self._own = own
        self._rings_only = rings_only
        self._thread = IsolatedThread("journal: recovery of other processes", stays=False)
        self._checks = 0
        self._seen: tuple[int, ...] = ()
        # By incarnation: the newest segment of each journal.
        self._known: dict[str, list[Path]] = {}
        self._with_ring: set[str] = set()
        self._done: set[str] = set()
        self._not_before: dict[str, float] = {}

    def check(self) -> None:
        """Check once, and start to recover the dead processes found; never waits."""
        if not self._thread.is_idle:
            return
        self._list_names()
        dead = list(self._dead(check_all=self._checks % _CHECK_ALL_EVERY == 0))
        self._checks += 1
        if dead:
            self._thread.submit(lambda: self._recover(dead), is_left=True)

    def _list_names(self) -> None:
        """List the names again if the folder has changed."""
        rings = self._folder / RING_FOLDER
        folders = [rings] if self._rings_only else [rings, self._folder]
        seen = tuple(modified_ns([folder]) for folder in folders)
        if seen == self._seen:
            return
        try:
            with_ring = set(incarnations_with_ring(self._folder))
            newest = {} if self._rings_only else newest_segments(self._folder, or_fail=True)
        except OSError:
            return  # without a free descriptor, for example: the next check lists them again
        self._seen = seen
        self._with_ring = with_ring
        known: dict[str, list[Path]] = {name: [] for name in with_ring}
        for (name, _), path in newest.items():
            known.setdefault(name, []).append(path)
        known.pop(self._own, None)
        self._known = known
        self._done &= known.keys()
        self._not_before = {name: at for name, at in self._not_before.items() if name in known}

    def _dead(self, *, check_all: bool) -> Iterator[str]:
        """Yield incarnations that seem dead: all with a ring buffer, of the others some."""
        names = sorted(self._known)
        after = [name for name in names if name > self._own]
        in_order = after + names[: len(names) - len(after)]
        with_ring = [name for name in in_order if name in self._with_ring]
        yield from self._not_living(with_ring, check_all)
        others = [name for name in in_order if name not in self._with_ring]
        for name in islice(self._not_living(others, check_all), _MAX_AT_ONCE):
            if all(map(ends_with_process_end, self._known[name])):
                self._done.add(name)
            else:
                yield name

    def _not_living(self, names: list[str], check_all: bool) -> Iterator[str]:  # noqa: FBT001 - passed on
        """Yield those that do not live, up to the first that does, unless `check_all`."""
        now = monotonic()
        for name in names:
            if name in self._done or now < self._not_before.get(name, 0.0):
                continue
            identity = identity_from_id(name)
            is_mine = is_replaced_by(name, self._own)
            if is_mine or identity is None or is_alive(identity) != "alive":
                yield name
            elif not check_all:
                return

    def _recover(self, names: list[str]) -> None:
        from otel_ext.journal.recovery.recover import recover_one  # noqa: PLC0415 - seldom needed

        for name in names:
            report = recover_one(self._folder, name)
            if report.busy:
                self._not_before[name] = monotonic() + _BUSY_SECONDS
            elif report.failed or report.uncertain:
                self._not_before[name] = monotonic() + _RETRY_SECONDS
            elif not report.living:
                self._done.add(name)
