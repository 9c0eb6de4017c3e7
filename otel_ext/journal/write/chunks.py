"""Maps the chunks of a ring buffer, and makes the functions that store lines in them."""

from __future__ import annotations

import mmap
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from otel_ext._accel import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from otel_ext.journal.ring_layout import RingFacts

__all__ = ["HAS_GIL", "Cursor", "cursors_in", "map_chunks", "store_into"]

HAS_GIL: Final[bool] = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether a mapping's own `write` claims its room in one step."""


class Cursor(Protocol):
    """A position in mapped memory; a mapping object is one."""

    def write(self, line: bytes, /) -> object:
        """Store a line at the position and advance it; ValueError if there is no room."""
        ...

    def seek(self, position: int, /) -> None:
        """Move the position."""
        ...

    def tell(self) -> int:
        """Return the position."""
        ...


def map_chunks(descriptor: int, facts: RingFacts) -> list[mmap.mmap]:
    """Return one mapping for each chunk of a ring buffer."""
    size = facts.chunk_size
    # From 3.13 on a mapping need not keep a descriptor, which is of no use here.
    keep: dict[str, bool] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    chunks = [
        mmap.mmap(descriptor, size, offset=index * size, **keep) for index in range(facts.chunks)
    ]
    # Otherwise the kernel takes the first store for the start of a sequential read, and fills
    # pages far ahead with zeros: milliseconds within the first span.
    advice: int | None = getattr(mmap, "MADV_RANDOM", None)
    if advice is not None:
        with suppress(OSError):
            for chunk in chunks:
                chunk.madvise(advice)
    return chunks


def cursors_in(chunks: Sequence[mmap.mmap]) -> Sequence[Cursor]:
    """Return a cursor for each chunk: the mapping itself, or a compiled one."""
    cursor = choose("cursor", _itself)
    return [cursor(chunk) for chunk in chunks]


def _itself(chunk: mmap.mmap) -> Cursor:
    return chunk


def store_into(cursor: Cursor, guard: AbstractContextManager[object]) -> Callable[[bytes], object]:
    """Return the function that stores a line at a cursor, under the guard if threads race."""
    if HAS_GIL:
        return cursor.write

    def store(line: bytes) -> object:
        with guard:
            return cursor.write(line)

    return store
