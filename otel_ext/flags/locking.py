"""Lets only one program at a time change the flag files of a folder."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["change_lock"]

_WAIT: Final = 10.0
_STEP: Final = 0.005


@contextmanager
def change_lock(path: Path) -> Generator[None]:
    """Keep others from changing a flag file in the block; waits for them, 10 seconds at most.

    The lock is on the folder of the file, since the file is replaced, and nothing is left
    beside it. The kernel releases it when its holder dies. `flock` belongs to the open folder,
    so it also keeps two threads apart. Where there is no such lock, as on Windows or on some
    network disks, the block runs without one.

    Args:
        path: The flag file, which may be missing.

    Raises:
        ConfigError: Another program has held the lock for 10 seconds.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder, change_lock(Path(folder, "flags.json")):
    ...     os.listdir(folder)
    []
    """
    descriptor = _open_folder(path)
    try:
        if descriptor is not None:
            _wait_for_lock(descriptor, path)
        yield
    finally:
        if descriptor is not None:
            _release(descriptor)


def _open_folder(path: Path) -> int | None:
    """Open the folder of the file that a path or a link leads to; None if that cannot be."""
    if sys.platform == "win32":
        return None
    try:
        folder = os.path.dirname(os.path.realpath(path))  # noqa: PTH120 - of a text
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None  # writing the file says why, if it cannot be written either


def _wait_for_lock(descriptor: int, path: Path) -> None:
    if sys.platform == "win32":
        return
    until = monotonic() + _WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > until:
                message = f"{path} is being changed by another program"
                raise ConfigError(message, hint="Run the command again") from None
            sleep(_STEP)
        except OSError:
            return  # a file system without such locks
        else:
            return


def _release(descriptor: int) -> None:
    if sys.platform != "win32":
        with suppress(OSError):
            # Closing is not enough: a child forked meanwhile has the folder open, too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
