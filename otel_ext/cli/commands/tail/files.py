"""Follows files of records: returns their last lines, then each line that is added.

Lines that wait in ring buffers are included; see `ring_buffers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.cli.commands.tail.ring_buffers import WaitingLines
from otel_ext.journal.files import is_folder
from otel_ext.journal.names import list_segments
from otel_ext.journal.read.follow import FollowedFile
from otel_ext.journal.read.newest import time_in

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["FollowedFiles"]

_MOST_AT_ONCE: Final = 16 * 1024 * 1024


class FollowedFiles:
    """Reads the new lines of all files in some paths.

    Attributes:
        paths: Folders of records, where files come and go, or single files; may be replaced.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = list(paths)
        self._files: dict[Path, FollowedFile] = {}
        self._waiting = WaitingLines()

    def last_lines(self, number: int) -> list[bytes]:
        """Return the last lines of all files together, oldest first; `new_lines` has later ones."""
        waiting = self._waiting.all_lines(self.paths) if number else []
        lines: list[bytes] = []
        for path in self._paths():
            file = self._files[path] = FollowedFile(path)
            lines += file.last_lines(number, _MOST_AT_ONCE)
        lines = self._waiting.without_shown(lines) + waiting
        lines.sort(key=time_in)
        return lines[-number:] if number else []

    def new_lines(self) -> list[bytes]:
        """Return the complete lines added since the last call, oldest first."""
        lines: list[bytes] = []
        for path in self._paths():
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = FollowedFile(path)
            size = 0
            for block in file.added():
                lines += [] if block.is_piece else block.lines
                size += block.end - block.offset
                if size >= _MOST_AT_ONCE:
                    break
        lines = self._waiting.without_shown(lines) + self._waiting.stuck_lines(self.paths)
        lines.sort(key=time_in)
        return lines

    def _paths(self) -> list[Path]:
        found: list[Path] = []
        for path in self.paths:
            found += list_segments(path) if is_folder(path) else [path]
        return found
