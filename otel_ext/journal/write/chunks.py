"""The mapped memory of a ring buffer: its chunks, and what stores a line in each of them."""

from __future__ import annotations

import mmap
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from otel_ext._accel import load_speed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from otel_ext.journal.ring_layout import RingFacts

__all__ = ["HAS_GIL", "Cursor", "cursors_in", "map_chunks", "store_into"]

HAS_GIL: Final[bool] = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether a mapping's own `write` claims its place in one step."""


class Cursor(Protocol):
    """A position in mapped memory, as a mapping object has one."""

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
    """Return each chunk of a ring buffer as a mapping of its own."""
    size = facts.chunk_size
    # A mapping keeps a descriptor of its own, of no use here, unless told not to.
    keep: dict[str, bool] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    chunks = [
        mmap.mmap(descriptor, size, offset=index * size, **keep) for index in range(facts.chunks)
    ]
    # Else the kernel takes the first store for the begin of a long read, and fills pages
    # far ahead with zeros, of the whole ring buffer perhaps: milliseconds within the first span.
    advice: int | None = getattr(mmap, "MADV_RANDOM", None)
    if advice is not None:
        with suppress(OSError):
            for chunk in chunks:
                chunk.madvise(advice)
    return chunks


def cursors_in(chunks: Sequence[mmap.mmap]) -> Sequence[Cursor]:
    """Return what stores lines in each chunk: the mapping itself, or what is quicker."""
    speed = load_speed()
    return chunks if speed is None else [speed.cursor(chunk) for chunk in chunks]


def store_into(cursor: Cursor, guard: AbstractContextManager[object]) -> Callable[[bytes], object]:
    """Return what stores a line at a cursor, under the guard where two could take one place."""
    if HAS_GIL:
        return cursor.write

    def store(line: bytes) -> object:
        with guard:
            return cursor.write(line)

    return store
