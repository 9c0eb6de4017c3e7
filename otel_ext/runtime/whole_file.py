"""Writes a file as a whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["whole_file"]

_OWNER_ONLY: Final = 0o600


@contextmanager
def whole_file(path: Path, mode: int = _OWNER_ONLY) -> Generator[IO[bytes]]:
    """Write a file beside its place, and rename it at the end of the block.

    Its content is on the disk before it has its name. If the block raises, nothing is left.
    A link stays, and the file that it leads to is written. A device or a pipe stays too, and
    is written into, since only a file can be replaced.

    Args:
        path: The file; an older one is replaced.
        mode: Its permissions; by default only its owner may read it.

    Yields:
        The file to write to.

    Raises:
        OSError: It cannot be written, or is a folder.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder, "a.jsonl")) as file:
    ...         _ = file.write(b"{}")
    ...     os.listdir(folder)
    ['a.jsonl']
    """
    if not _is_replaceable(path):
        with path.open("wb") as file:
            yield file
        return
    target = Path(os.path.realpath(path))
    descriptor, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if mode != _OWNER_ONLY:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(beside).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(beside).unlink()
        raise


def _is_replaceable(path: Path) -> bool:
    """Return whether a path is a file, or not there yet; raise an error for a folder."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return stat.S_ISREG(mode)
