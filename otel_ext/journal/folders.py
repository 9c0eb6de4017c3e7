"""Finds the folders that programs of this machine write their records to.

It needs no registry, which could be out of date: for every process of the same user the
kernel shows which ring buffer it has mapped and which segment it has open (proc(5)). That
works for a hung process, too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.journal.files import is_folder
from otel_ext.journal.names import names_in, parse_segment_name
from otel_ext.journal.ring_layout import RING_FOLDER, RING_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_folders"]

_PROC: Final = Path("/proc")
_RING: Final = f"/{RING_FOLDER}/"


def find_folders() -> list[Path]:
    """Return the journal folders that living processes use now, sorted.

    Empty if the platform has no `/proc`.

    >>> all(folder.is_absolute() for folder in find_folders())
    True
    """
    found: set[Path] = set()
    for process in _processes():
        found.update(_mapped(process))
        found.update(_opened(process))
    return sorted(folder for folder in found if is_folder(folder))


def _processes() -> Iterator[Path]:
    return (_PROC / name for name in names_in(_PROC) if name.isdecimal())


def _mapped(process: Path) -> Iterator[Path]:
    """Yield the folder of each ring buffer that the process has mapped."""
    try:
        maps = (process / "maps").read_text("utf-8", "surrogateescape")
    except OSError:  # gone, or of another user
        return
    if _RING not in maps:
        return
    for line in maps.splitlines():
        _, slash, path = line.partition("/")
        if slash and path.endswith(RING_SUFFIX) and _RING in path:
            yield Path(f"/{path}").parent.parent


def _opened(process: Path) -> Iterator[Path]:
    """Yield the folder of each segment that the process has open."""
    for descriptor in names_in(process / "fd"):
        try:
            target = os.readlink(process / "fd" / descriptor)  # noqa: PTH115 - without an object for each
        except OSError:
            continue
        folder, _, name = target.rpartition("/")
        if name.endswith(".jsonl") and parse_segment_name(name) is not None:
            yield Path(folder)
