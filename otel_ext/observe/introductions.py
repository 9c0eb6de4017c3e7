"""Finds how processes call themselves, in the first lines of their files."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_ext.journal.names import list_segments
from otel_ext.journal.read.rings import read_rings
from otel_ext.journal.read.scanner import Line, open_to_read, scan_descriptor
from otel_ext.observe.process_names import ProcessName
from otel_ext.runtime.process.records import PROCESS_START

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from otel_ext.journal.read.scanner import Skipped

__all__ = ["process_names_in"]

# A file begins with the introduction of its process.
_BEGINNING: Final = 64 * 1024


def process_names_in(paths: Iterable[Path]) -> dict[str, ProcessName]:
    """Return pid, service and command of the processes that record into some paths, by their ids.

    Only the beginning of each file is read, so of a file that many processes share, those that
    came late may be missing.

    Args:
        paths: Folders of records, and files.

    >>> process_names_in([])
    {}
    """
    found: dict[str, ProcessName] = {}
    for path in paths:
        is_folder = path.is_dir()
        for ring in read_rings(path) if is_folder else ():
            _add(ring.lines, found)
        for file in list_segments(path) if is_folder else [path]:
            _add(_first_lines(file), found)
    return found


def _first_lines(path: Path) -> Iterator[Line | Skipped]:
    with suppress(OSError):
        descriptor = open_to_read(path)
        try:
            yield from scan_descriptor(descriptor, 0, _BEGINNING)
        finally:
            os.close(descriptor)


def _add(items: Iterable[Line | Skipped], found: dict[str, ProcessName]) -> None:
    for item in items:
        if isinstance(item, Line) and item.meta.get("event") == PROCESS_START:
            found.setdefault(item.key[0], ProcessName.from_start(item.meta))
