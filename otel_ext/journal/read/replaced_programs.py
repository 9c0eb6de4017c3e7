"""Finds the incarnations of a folder whose program was replaced by another (`execve`).

A process that replaces its program keeps pid, start time and boot, so by these the old
incarnation seems to live. Of incarnations that agree in all of them, and in the PID
namespace, only the one opened last can live. The monotonic clock shows which one that is,
since the time of day may have been set back. Every reader of a folder uses this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.errors import RecordError
from otel_ext.journal.liveness import identity_from_id
from otel_ext.journal.names import list_rings, list_segments, parse_ring_name, parse_segment_name
from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.ring_layout import RING_SUFFIX
from otel_ext.record.decode import decode_line
from otel_ext.runtime.process.records import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["is_replaced_by", "replaced_incarnations"]

_FIRST_LINE: Final = 256 * 1024

_Moment: TypeAlias = tuple[int, int, int]
"""When an incarnation was alive, in their order, and the PID namespace of its pid; 0 if unknown.

The first number is nanoseconds of the monotonic clock. The second, of the time of day, decides
if the first is equal.
"""


def is_replaced_by(incarnation: str, own: str) -> bool:
    """Return whether `incarnation` is of a program that this process ran before `own`.

    >>> is_replaced_by("b0-7-1-00000001", "b0-7-1-00000002")
    True
    >>> is_replaced_by("b0-8-1-00000001", "b0-7-1-00000002")
    False
    """
    return incarnation != own and _kernel_process(incarnation) == _kernel_process(own) != ""


def replaced_incarnations(folder: Path) -> frozenset[str]:
    """Return the ids of the incarnations in a folder whose program was replaced.

    It opens files only of processes with several incarnations.
    """
    files: dict[str, dict[str, list[Path]]] = {}
    for incarnation, path in _files_in(folder):
        if process := _kernel_process(incarnation):
            files.setdefault(process, {}).setdefault(incarnation, []).append(path)
    found: set[str] = set()
    for incarnations in files.values():
        if len(incarnations) > 1:
            found |= _replaced_of(incarnations)
    return frozenset(found)


def _replaced_of(incarnations: dict[str, list[Path]]) -> set[str]:
    """Return all of these incarnations, which share pid and start time, but the last opened."""
    by_namespace: dict[int, list[tuple[_Moment, str]]] = {}
    for incarnation, paths in incarnations.items():
        moments = [one for one in map(_seen_alive_in, paths) if one is not None]
        if moments:  # else it is unknown when it was opened
            # One begins when the other has ended, so any moment of each will do.
            namespace = max(namespace for *_, namespace in moments)
            by_namespace.setdefault(namespace, []).append((max(moments), incarnation))
    return {incarnation for group in by_namespace.values() for _, incarnation in sorted(group)[:-1]}


def _kernel_process(incarnation: str) -> str:
    """Return the boot, pid and start time in an id; empty if one of them is missing."""
    identity = identity_from_id(incarnation)
    if identity is None or not identity.boot_id or not identity.start_time:
        return ""
    return incarnation.rpartition("-")[0]


def _files_in(folder: Path) -> Iterable[tuple[str, Path]]:
    for path in list_rings(folder):
        yield parse_ring_name(path.name)[0], path
    for path in list_segments(folder):
        if (segment := parse_segment_name(path.name)) is not None:
            yield segment.incarnation, path


def _seen_alive_in(path: Path) -> _Moment | None:
    """Return the moment in a ring buffer or a segment's first line; None if unreadable."""
    if path.name.endswith(RING_SUFFIX):
        ring = read_ring(path, lines=False)
        if ring.facts is None or ring.state is None:
            return None
        namespace = ring.facts.process.pid_namespace
        return ring.state.steady_ns, ring.facts.created_ns, namespace
    try:
        with path.open("rb") as file:
            record = decode_line(file.readline(_FIRST_LINE))
    except (OSError, RecordError):
        return None
    extra = record.extra
    steady_ns, namespace = map(whole_number, (extra.get("steady_ns"), extra.get("pid_namespace")))
    return steady_ns, record.time_ns, namespace
