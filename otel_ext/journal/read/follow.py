"""Reads what was added to a file of records since the last time."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from otel_ext.journal.read.scanner import open_to_read, read_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from otel_ext.journal.read.scanner import Block

__all__ = ["FollowedFile"]

_STEP: Final = 256 * 1024


class FollowedFile:
    """One file and the end of its last complete line that was read.

    If it was replaced or became shorter, it is read from its beginning again.

    Args:
        path: The file; it may come and go.
        forget: Called before another file of that name is read.
        offset: Where to begin, if the file is still the same.
        inode: The number of that file; without it, any file is read from its beginning.

    Attributes:
        path: As given.
        offset: The end of the last complete line that was read.
        inode: The number of the file that was read last; 0 if none was.
    """

    def __init__(
        self,
        path: Path,
        forget: Callable[[], None] = lambda: None,
        *,
        offset: int = 0,
        inode: int = 0,
    ) -> None:
        self.path = path
        self.offset = offset
        self.inode = inode
        self._forget = forget

    def added(self) -> Iterator[Block]:
        """Yield the complete lines that were added; what cannot be read is left for later.

        A line that is too long to be a record comes in pieces.
        """
        with suppress(OSError):
            for block in self.blocks():
                if block.ended:
                    yield block

    def blocks(self, containing: Sequence[bytes] = ()) -> Iterator[Block]:
        """Yield the same, and an incomplete line at the end, which comes again with the rest.

        Args:
            containing: As for `read_blocks`.

        Raises:
            OSError: The file cannot be read; `added` continues there.
        """
        with self._opened() as descriptor:
            for block in read_blocks(descriptor, self.offset, containing=containing):
                if block.is_piece and not block.lines[0].strip(b"\0"):
                    continue  # zeros at the end of the file may still become a line
                if block.ended:
                    self.offset = block.end
                yield block

    def last_lines(self, number: int, most: int) -> list[bytes]:
        """Return the last complete lines, of `most` bytes; `added` continues after them."""
        lines: list[bytes] = []
        with suppress(OSError), self._opened() as descriptor:
            start, data = os.fstat(descriptor).st_size, b""
            # One line more than wanted: the first may be incomplete.
            while start > 0 and data.count(b"\n") <= number and len(data) < most:
                begin = max(start - _STEP, 0)
                data = os.pread(descriptor, start - begin, begin) + data
                start = begin
            whole = data[: data.rfind(b"\n") + 1]
            self.offset = start + len(whole)
            lines = whole.split(b"\n")[1 if start else 0 : -1]
        return lines[-number:] if number else []

    @contextmanager
    def _opened(self) -> Generator[int]:
        descriptor = open_to_read(self.path)
        try:
            status = os.fstat(descriptor)
            if self.offset and (status.st_ino != self.inode or status.st_size < self.offset):
                self.offset = 0
                self._forget()
            self.inode = status.st_ino
            yield descriptor
        finally:
            os.close(descriptor)
