"""Follows files of records: returns their last lines, then each line that is added.

Lines that wait in ring buffers are included; see `ring_buffers`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.cli.commands.tail.ring_buffers import WaitingLines
from otel_ext.journal.files import is_folder, list_segments
from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.values import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["FollowedFiles"]

_BLOCK: Final = 256 * 1024
_MOST_AT_ONCE: Final = 16 * 1024 * 1024


class FollowedFiles:
    """Reads the new lines of all files in some paths.

    Args:
        paths: Folders of records, where files come and go, or single files.

    Attributes:
        paths: The same; may be replaced.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = list(paths)
        self._files: dict[Path, _File] = {}
        self._waiting = WaitingLines()

    def last_lines(self, number: int) -> list[bytes]:
        """Return the last lines of all files together, oldest first.

        Args:
            number: How many lines; `new_lines` returns the later ones.
        """
        waiting = self._waiting.all_lines(self.paths) if number else []
        lines: list[bytes] = []
        for path in self._paths():
            file = self._files[path] = _File(path)
            lines += file.last_lines(number)
        lines = self._waiting.without_shown(lines) + waiting
        lines.sort(key=_time_of)
        return lines[-number:] if number else []

    def new_lines(self) -> list[bytes]:
        """Return the complete lines added since the last call, oldest first."""
        lines: list[bytes] = []
        for path in self._paths():
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = _File(path)
            lines += file.new_lines()
        lines = self._waiting.without_shown(lines) + self._waiting.stuck_lines(self.paths)
        lines.sort(key=_time_of)
        return lines

    def _paths(self) -> list[Path]:
        found: list[Path] = []
        for path in self.paths:
            found += list_segments(path) if is_folder(path) else [path]
        return found


class _File:
    """One file and its read position: the end of its last complete line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._inode = 0

    def last_lines(self, number: int) -> list[bytes]:
        """Return the last lines, and continue after them."""
        descriptor = self._open()
        if descriptor is None:
            return []
        try:
            end = os.fstat(descriptor).st_size
            start, data = end, b""
            # One line more than wanted: the first may be incomplete.
            while start > 0 and data.count(b"\n") <= number and len(data) < _MOST_AT_ONCE:
                begin = max(start - _BLOCK, 0)
                data = os.pread(descriptor, start - begin, begin) + data
                start = begin
        except OSError:
            return []
        finally:
            os.close(descriptor)
        whole = data[: data.rfind(b"\n") + 1]
        self._offset = start + len(whole)
        lines = whole.split(b"\n")[:-1]
        if start > 0:
            lines = lines[1:]
        return lines[-number:] if number else []

    def new_lines(self) -> list[bytes]:
        """Return the lines that were added."""
        descriptor = self._open()
        if descriptor is None:
            return []
        try:
            data = os.pread(descriptor, _MOST_AT_ONCE, self._offset)
        except OSError:
            return []
        finally:
            os.close(descriptor)
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) > MAX_LINE_BYTES:
            whole = data  # too long to be a record
        self._offset += len(whole)
        return whole.split(b"\n")[:-1]

    def _open(self) -> int | None:
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(self.path, flags)
        except OSError:
            return None  # it may come back
        status = os.fstat(descriptor)
        if status.st_size < self._offset or (self._inode and status.st_ino != self._inode):
            self._offset = 0  # another file of that name, or it was emptied
        self._inode = status.st_ino
        return descriptor


def _time_of(line: bytes) -> str:
    """Return the timestamp of a line; empty, so sorted first, if it is not a record."""
    try:
        return str(orjson.loads(line)[META_KEY]["timestamp"])
    except (ValueError, KeyError, TypeError):
        return ""
