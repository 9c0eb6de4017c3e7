"""Makes the C library give the memory of large bodies back."""

from __future__ import annotations

import ctypes
from typing import Final

from otel_ext.settings.units import MIB

__all__ = ["give_large_memory_back"]

_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD of malloc.h
_LARGE: Final = 1 * MIB


def give_large_memory_back() -> None:
    """Let each allocation of more than 1 MiB be returned to the system when it is freed.

    By default glibc raises this limit, up to 32 MiB, with each one that is freed: later ones then
    come from a heap, where memory that is freed between others is kept. With another C library
    nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGE)
