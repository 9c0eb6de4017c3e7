"""Deleting old segments, so that a folder of records does not grow for ever.

Only files whose names are segments' are touched, and of them only closed ones:
those of dead incarnations that need no recovery, and the older ones of living
ones, whose open spans stand in the newest again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.files import ends_closed, parse_segment_name, segment_file
from otel_ext.journal.layout import BOX_FOLDER
from otel_ext.journal.liveness import identity_from_id, is_alive
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["apply_retention"]


# A process in another container cannot be asked; its heartbeat goes to its file.
_SILENT_SECONDS: Final = 600.0
# A file without an end that nobody recovers does not stay for ever.
_ABANDONED_SECONDS: Final = 86_400.0


class _Closed(NamedTuple):
    modified: float
    size: int
    path: Path


def apply_retention(
    folder: Path,
    *,
    max_bytes: int,
    max_age: float,
    current: Path | None = None,
    now: float | None = None,
) -> list[Path]:
    """Delete closed segments that are too old or too much; return those.

    Args:
        folder: The folder of records.
        max_bytes: Bytes that closed segments may take together; 0 for no limit.
        max_age: Seconds that one is kept after its last write; 0 for no limit.
        current: The file that this process writes to.
        now: The time, seconds since the epoch; None for the clock's.
    """
    if not max_bytes and not max_age:
        return []
    moment = time() if now is None else now
    closed = sorted(_closed_segments(folder, current, moment))
    total = sum(segment.size for segment in closed)
    deleted: list[Path] = []
    for segment in closed:
        too_old = 0 < max_age < moment - segment.modified
        if not too_old and not 0 < max_bytes < total:
            continue
        with suppress(OSError):
            segment.path.unlink()
            deleted.append(segment.path)
            COUNTERS.add("journal.segments_deleted")
        total -= segment.size
    return deleted


def _closed_segments(folder: Path, current: Path | None, moment: float) -> list[_Closed]:
    newest: dict[str, int] = {}
    found: list[tuple[str, int, _Closed]] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = parse_segment_name(entry.name)
            if name is None or not entry.is_file(follow_symlinks=False):
                continue
            status = entry.stat(follow_symlinks=False)
            closed = _Closed(status.st_mtime, status.st_size, folder / entry.name)
            found.append((name.incarnation, name.number, closed))
            newest[name.incarnation] = max(newest.get(name.incarnation, 0), name.number)
    paths = {closed.path.name: closed for _, _, closed in found}
    held = {
        name
        for name, number in newest.items()
        if _is_needed(folder, name, paths[segment_file(name, number)], moment)
    }
    silent_since = moment - _SILENT_SECONDS
    return [
        closed
        for name, number, closed in found
        if closed.path != current
        and (number < newest[name] or (name not in held and closed.modified < silent_since))
    ]


def _is_needed(folder: Path, incarnation: str, newest: _Closed, moment: float) -> bool:
    """Whether the incarnation lives, may live, or waits to be recovered."""
    identity = identity_from_id(incarnation)
    if identity is None or is_alive(identity) == "alive":
        return True
    if (folder / BOX_FOLDER / f"{incarnation}.box").exists():
        return True
    # By its id alone a process of another container looks dead, too: its file must say so.
    return newest.modified > moment - _ABANDONED_SECONDS and not ends_closed(newest.path)
