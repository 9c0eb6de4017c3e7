"""Decides whether a file system is safe for a memory-mapped ring buffer.

A store into a mapped page that gets no disk block ends the program with SIGBUS. Only file
systems that keep a reserved block reserved may hold a ring buffer: not network file
systems, not those in user space, and not those that write every change to a new block
(btrfs, zfs, bcachefs, f2fs).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["FileSystem", "file_system_of"]

_KEEPS_BLOCKS: Final = frozenset({"ext2", "ext3", "ext4", "overlay", "tmpfs", "xfs"})
_MOUNTS: Final = Path("/proc/self/mountinfo")
_MAX_CACHED: Final = 64
# By device and file system id: after an unmount the kernel uses a device number again.
# Cached because the list of mounts is long on a host of containers.
_kinds: Final[dict[tuple[int, int], str]] = {}


class FileSystem(NamedTuple):
    """The kind of a file system, if known, and why it cannot hold a ring buffer, if so."""

    kind: str
    refusal: str

    @property
    def can_map(self) -> bool:
        """Whether it may hold a ring buffer."""
        return not self.refusal


def file_system_of(folder: Path) -> FileSystem:
    """Return kind and suitability of the file system of `folder`.

    >>> file_system_of(Path("/proc")).can_map
    False
    """
    try:
        device = os.stat(folder).st_dev  # noqa: PTH116 - on the user's path, kept light
        figures = os.statvfs(folder)
        key = device, figures.f_fsid
        kind = _kinds.get(key) or _kind_of_device(device)
    except OSError as error:
        return FileSystem("", f"its file system is unknown ({error.strerror})")
    if not kind:
        return FileSystem("", "its file system is unknown")
    if len(_kinds) < _MAX_CACHED:
        _kinds[key] = kind
    # A container's own layer shows the figures of the file system below. One without a
    # fixed number of inodes (btrfs reports 0) keeps no blocks.
    if kind == "overlay" and figures.f_files == 0:
        return FileSystem(kind, "the file system below may not keep reserved blocks")
    if kind in _KEEPS_BLOCKS:
        return FileSystem(kind, "")
    return FileSystem(kind, f"a file system of kind {kind} may not keep reserved blocks")


def _kind_of_device(device: int) -> str:
    wanted = b"%d:%d" % (os.major(device), os.minor(device))
    # Bytes, since the first use of a text encoding costs more than all the rest.
    for line in _MOUNTS.read_bytes().splitlines():
        # 36 35 98:0 /root /mount options [tags...] - kind source super-options (proc(5))
        before, _, after = line.partition(b" - ")
        if before.split(b" ", 3)[2] == wanted:
            return after.split(b" ", 1)[0].decode(errors="replace")
    return ""
