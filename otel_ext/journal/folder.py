"""What a folder of records says about its processes, living or dead.

The newest segment of each incarnation and its box together tell what runs now:
rotation repeats the open spans, so older segments are not needed. Nothing is
asked of the processes themselves, so the answer is there for a hung one too.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.files import list_segments, parse_segment_name
from otel_ext.journal.incarnations import IncarnationReader, IncarnationState, base_id
from otel_ext.journal.layout import BOX_FOLDER, BOX_SUFFIX
from otel_ext.journal.reader import Skipped, read_box, scan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["FolderState", "SkippedLog", "is_young", "read_folder", "read_incarnations"]

_MAX_SKIPPED: Final = 1_000
_YOUNG_NS: Final = 10_000_000_000


class FolderState(NamedTuple):
    """A folder of records at one moment.

    Attributes:
        path: The folder.
        incarnations: One for each, by last sign of life.
        skipped: Damage, with the file it is in; at most 1,000 stretches.
        skipped_bytes: All bytes that were skipped.
    """

    path: Path
    incarnations: tuple[IncarnationState, ...]
    skipped: tuple[tuple[Path, Skipped], ...]
    skipped_bytes: int


class SkippedLog:
    """What could not be read, bounded."""

    def __init__(self) -> None:
        self.items: list[tuple[Path, Skipped]] = []
        self.total_bytes = 0

    def add(self, path: Path, item: Skipped) -> None:
        """Note one stretch of damage in the file `path`."""
        self.total_bytes += item.length
        if len(self.items) < _MAX_SKIPPED:
            self.items.append((path, item))


def read_incarnations(
    folder: Path, *, only: str = "", every_segment: bool = False
) -> tuple[dict[str, IncarnationReader], SkippedLog]:
    """Read a folder's boxes, then its segments, each incarnation for itself.

    In this order a line that the worker moves meanwhile is seen at least once.

    Args:
        folder: The folder of records.
        only: The one incarnation that is wanted; empty for all.
        every_segment: Read older segments too.
    """
    readers: dict[str, IncarnationReader] = {}
    skipped = SkippedLog()
    for path in sorted(folder.joinpath(BOX_FOLDER).glob(f"{only or ''}*{BOX_SUFFIX}")):
        box = read_box(path)
        name = box.facts.id if box.facts is not None else base_id(path.name[: -len(BOX_SUFFIX)])
        readers.setdefault(name, IncarnationReader(name)).add_box(box)
        for damage in box.skipped:
            skipped.add(path, damage)
    for path in _wanted_segments(folder, only, every_segment=every_segment):
        for item in scan(path):
            if isinstance(item, Skipped):
                skipped.add(path, item)
                continue
            name = base_id(item.key[0])
            if not only or name == only:
                readers.setdefault(name, IncarnationReader(name)).add_line(item, path)
    for reader in readers.values():
        reader.add_box_lines()
    return readers, skipped


def _wanted_segments(folder: Path, only: str, *, every_segment: bool) -> Iterable[Path]:
    """Return the segments to read: of each incarnation the newest, and what it may yet lack."""
    by_incarnation: dict[str, list[Path]] = {}
    wanted: list[Path] = []
    for path in list_segments(folder):
        name = parse_segment_name(path.name)
        if name is None:  # a file of several processes
            wanted.append(path)
        elif not only or name.incarnation == only:
            by_incarnation.setdefault(name.incarnation, []).append(path)
    for paths in by_incarnation.values():
        young = len(paths) > 1 and is_young(paths[-1], paths[-2])
        wanted += paths if every_segment else paths[-2 if young else -1 :]
    return wanted


def is_young(segment: Path, before: Path) -> bool:
    """Whether `segment` may not yet repeat all that was open when it began.

    It was last written so soon after the one before it that its writer may still
    be at its first lines, or may have been killed at them.
    """
    try:
        return segment.stat().st_mtime_ns - before.stat().st_mtime_ns < _YOUNG_NS
    except OSError:
        return False


def read_folder(path: Path, *, now_ns: int | None = None) -> FolderState:
    """Return what the records in a folder say about its processes; never raises on damage.

    Args:
        path: The folder of records.
        now_ns: The time, nanoseconds since the epoch; None for the clock's.
    """
    moment = time_ns() if now_ns is None else now_ns
    readers, skipped = read_incarnations(path)
    states = sorted(
        (reader.state(moment) for reader in readers.values()), key=lambda state: state.last_seen_ns
    )
    return FolderState(path, tuple(states), tuple(skipped.items), skipped.total_bytes)
