"""Names and lists the files of a journal's folder: segments and ring buffers."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.ring_layout import RING_FOLDER, RING_SUFFIX
from otel_ext.runtime.process.incarnation import INCARNATION_ID

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "SegmentName",
    "list_rings",
    "list_segments",
    "names_in",
    "newest_segments",
    "parse_ring_name",
    "parse_segment_name",
    "ring_file",
    "segment_file",
]

_SEGMENT: Final = re.compile(
    rf"({INCARNATION_ID})(?:\.j(\d{{1,6}}))?(?:\.(\d{{1,6}}))?\.jsonl", re.ASCII
)
_RING: Final = re.compile(rf"(.+?)(?:\.(\d{{1,6}}))?{re.escape(RING_SUFFIX)}")


class SegmentName(NamedTuple):
    """The parts of a segment's file name; 0 for the first journal, and its first segment."""

    incarnation: str
    number: int
    journal: int = 0

    @property
    def stream(self) -> tuple[str, int]:
        """Incarnation and journal: equal for segments that follow each other."""
        return self.incarnation, self.journal


def segment_file(incarnation: str, number: int, journal: int = 0) -> str:
    """Return the file name of an incarnation's segment.

    >>> segment_file("b0-7-1-00000000", 0), segment_file("b0-7-1-00000000", 2)
    ('b0-7-1-00000000.jsonl', 'b0-7-1-00000000.2.jsonl')
    >>> segment_file("b0-7-1-00000000", 2, journal=1)
    'b0-7-1-00000000.j1.2.jsonl'
    """
    stream = f"{incarnation}.j{journal}" if journal else incarnation
    return f"{stream}.{number}.jsonl" if number else f"{stream}.jsonl"


def ring_file(incarnation: str, journal: int) -> str:
    """Return the file name of the ring buffer of an incarnation's journal.

    >>> ring_file("b0-7-1-00000000", 0), ring_file("b0-7-1-00000000", 2)
    ('b0-7-1-00000000.ring', 'b0-7-1-00000000.2.ring')
    """
    return f"{incarnation}.{journal}{RING_SUFFIX}" if journal else f"{incarnation}{RING_SUFFIX}"


def parse_ring_name(name: str) -> tuple[str, int]:
    """Return the incarnation and the journal number in a ring buffer's file name.

    >>> parse_ring_name("b0-7-1-00000000.2.ring"), parse_ring_name("b0-7-1-00000000.ring")
    (('b0-7-1-00000000', 2), ('b0-7-1-00000000', 0))
    """
    match = _RING.fullmatch(name)
    return (name, 0) if match is None else (match[1], int(match[2] or 0))


def parse_segment_name(name: str) -> SegmentName | None:
    """Return the parts of a segment's file name, or None for any other name.

    >>> parse_segment_name("b0-7-1-00000000.2.jsonl")
    SegmentName(incarnation='b0-7-1-00000000', number=2, journal=0)
    >>> parse_segment_name("trace.jsonl") is None
    True
    """
    match = _SEGMENT.fullmatch(name)
    return None if match is None else SegmentName(match[1], int(match[3] or 0), int(match[2] or 0))


def names_in(folder: Path, *, or_fail: bool = False) -> list[str]:
    """Return the names in a folder, sorted; none if it does not exist.

    Args:
        folder: The folder.
        or_fail: Whether to raise `OSError` if it exists but cannot be read, as without a free
            descriptor; by default there are no names then either.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names only
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        if or_fail:
            raise
        return []


def list_segments(folder: Path, *, or_fail: bool = False) -> list[Path]:
    """Return the `.jsonl` files of `folder`, those of one journal in the order written.

    Args:
        folder: The folder.
        or_fail: As for `names_in`.
    """

    def order(path: Path) -> tuple[str, int, int]:
        parts = parse_segment_name(path.name)
        return (path.name, 0, 0) if parts is None else (*parts.stream, parts.number)

    names = names_in(folder, or_fail=or_fail)
    return sorted((folder / name for name in names if name.endswith(".jsonl")), key=order)


def newest_segments(folder: Path, *, or_fail: bool = False) -> dict[tuple[str, int], Path]:
    """Return the newest segment of each journal in `folder`, by `SegmentName.stream`.

    Args:
        folder: The folder.
        or_fail: As for `names_in`.
    """
    paths = list_segments(folder, or_fail=or_fail)
    named = ((parse_segment_name(path.name), path) for path in paths)
    return {name.stream: path for name, path in named if name is not None}


def list_rings(folder: Path, incarnation: str = "", *, or_fail: bool = False) -> list[Path]:
    """Return the ring buffers of a folder, by name.

    Args:
        folder: The folder of records.
        incarnation: Id of the one incarnation of which they are; empty for all.
        or_fail: As for `names_in`.
    """
    rings = folder / RING_FOLDER
    return [
        rings / name
        for name in names_in(rings, or_fail=or_fail)
        if name.startswith(incarnation) and name.endswith(RING_SUFFIX)
    ]
