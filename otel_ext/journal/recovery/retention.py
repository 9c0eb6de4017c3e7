"""Deletes old segments, so that a folder of records does not grow without limit.

Only files named as segments are deleted, and of them only closed ones: those of dead
incarnations that need no recovery, and the older ones of living incarnations, whose open
spans are repeated in the newest segment of the same journal.
"""

from __future__ import annotations

import os
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.files import ends_with_process_end
from otel_ext.journal.liveness import LONGEST_SILENCE, identity_from_id, is_alive
from otel_ext.journal.names import list_rings, parse_ring_name, parse_segment_name
from otel_ext.journal.read.replaced_programs import replaced_incarnations
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["apply_retention"]

# Files without an end that no process recovers are deleted in the end, too.
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
    """Delete closed segments beyond the age or the total size; return those deleted.

    Args:
        folder: The folder of records.
        max_bytes: Total bytes of closed segments to keep; 0 for no limit.
        max_age: Seconds to keep a segment after its last write; 0 for no limit.
        current: The file that this process writes to.
        now: The time, seconds since the epoch; None for the current time.
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
    journals: dict[tuple[str, int], dict[int, _Closed]] = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = parse_segment_name(entry.name)
            if name is None or not entry.is_file(follow_symlinks=False):
                continue
            status = entry.stat(follow_symlinks=False)
            segment = _Closed(status.st_mtime, status.st_size, folder / entry.name)
            journals.setdefault(name.stream, {})[name.number] = segment
    try:
        with_ring = {parse_ring_name(path.name)[0] for path in list_rings(folder, or_fail=True)}
    except OSError:
        return []  # any of them may need recovery
    replaced = replaced_incarnations(folder)
    closed: list[_Closed] = []
    for (incarnation, _), segments in journals.items():
        newest = segments.pop(max(segments))
        closed += segments.values()
        is_silent = newest.modified < moment - LONGEST_SILENCE
        if (
            is_silent
            and incarnation not in with_ring
            and not _is_needed(incarnation, newest, moment, replaced)
        ):
            closed.append(newest)
    return [segment for segment in closed if segment.path != current]


def _is_needed(incarnation: str, newest: _Closed, moment: float, replaced: frozenset[str]) -> bool:
    """Return whether the incarnation lives, may live, or needs recovery."""
    identity = identity_from_id(incarnation)
    if identity is None or (incarnation not in replaced and is_alive(identity) == "alive"):
        return True
    # By its id alone a process of another container looks dead, too, so the file decides.
    return newest.modified > moment - _ABANDONED_SECONDS and not ends_with_process_end(newest.path)
