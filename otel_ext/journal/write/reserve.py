"""Reserves disk blocks before they are needed."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_ext.journal.files import create_exclusive

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Reserve", "reserve_blocks"]

# Room for a `process.end`, and for a `process.start` before it in a new file.
_BYTES: Final = 16 * 1024
_TOKEN_BYTES: Final = 16
_ZEROS: Final = bytes(32 * 1024)
_CANNOT_RESERVE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def reserve_blocks(descriptor: int, size: int) -> None:
    """Allocate all blocks of an empty file, filled with zeros; OSError without room for them."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _CANNOT_RESERVE:
            raise
        _write_zeros(descriptor, size)


def _write_zeros(descriptor: int, size: int) -> None:
    left = size
    while left > 0:
        left -= os.write(descriptor, _ZEROS[:left])


class Reserve:
    """Holds a few blocks of a file system, for lines that must be written when it is full.

    A file without a name holds them, so they are free again when they are released or the
    process ends, in whatever way.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> reserve = Reserve()
    >>> reserve.keep(Path(mkdtemp())), reserve.is_kept, reserve.release(), reserve.is_kept
    (None, True, None, False)
    """

    def __init__(self) -> None:
        self._descriptor = -1
        self._token = b""

    @property
    def is_kept(self) -> bool:
        """Whether blocks are held."""
        return self._descriptor >= 0

    def keep(self, folder: Path) -> None:
        """Reserve room on the file system of `folder`; a full disk leaves `is_kept` false."""
        if self.is_kept:
            return
        with suppress(OSError):
            token = os.urandom(_TOKEN_BYTES)
            path = folder / f".reserve-{token.hex()}"
            descriptor = create_exclusive(path, os.O_RDWR)
            try:
                path.unlink()
                reserve_blocks(descriptor, _BYTES)
                os.pwrite(descriptor, token, 0)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor, self._token = descriptor, token

    def release(self) -> None:
        """Free the blocks. Idempotent."""
        self._close(empty=True)

    def forget(self) -> None:
        """Close the file in a forked child; the parent keeps the blocks."""
        self._close(empty=False)

    def _close(self, *, empty: bool) -> None:
        with suppress(OSError):
            if self._is_ours():
                if empty:
                    os.ftruncate(self._descriptor, 0)  # a forked child may have the file open
                os.close(self._descriptor)
        self._descriptor = -1

    def _is_ours(self) -> bool:
        """Return whether the descriptor is still of that file: a daemon may have closed it.

        Checked by the content, since the inode number may be used again.
        """
        return self.is_kept and os.pread(self._descriptor, _TOKEN_BYTES, 0) == self._token
