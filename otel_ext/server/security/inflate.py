"""Decompresses a request body in steps of bounded size."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Decoder", "Gunzip", "Identity", "MalformedBodyError"]

_GZIP: Final = 16 + zlib.MAX_WBITS


class _Member(Protocol):
    """What `zlib.decompressobj` returns."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class MalformedBodyError(ValueError):
    """A body is not what its `Content-Encoding` says."""


class Decoder(Protocol):
    """Undoes a content coding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes of the body decode to."""
        ...

    def finish(self) -> None:
        """Check that the body has ended where it may."""
        ...


class Identity:
    """Passes on a body that is not compressed."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the bytes themselves."""
        if data:
            yield data

    def finish(self) -> None:
        """Do nothing: every end is a right one."""


class Gunzip:
    """Decompresses gzip; the caller stops when it has enough.

    Nothing is decompressed ahead of what is yielded, so that a body that would become a
    thousand times larger costs no more than what the caller takes.

    Args:
        step_bytes: The most that is yielded at once.
        most_members: How many gzip files the body may be a sequence of. Each costs time,
            even an empty one of 20 bytes.

    >>> import gzip
    >>> decoder = Gunzip(step_bytes=4, most_members=1)
    >>> list(decoder.feed(gzip.compress(b"tracing")))
    [b'trac', b'ing']
    >>> decoder.finish()
    """

    def __init__(self, *, step_bytes: int, most_members: int) -> None:
        self._step = step_bytes
        self._members_left = most_members
        self._member: _Member | None = None
        self._has_ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes decompress to, at most `step_bytes` at once.

        Raises:
            MalformedBodyError: They are not gzip, or there are too many members.
        """
        while data:
            member = self._member or self._next_member()
            try:
                output = member.decompress(data, self._step)
                data = member.unconsumed_tail
                if output:
                    yield output
            except zlib.error:
                raise MalformedBodyError("The body is not valid gzip") from None
            if member.eof:
                data = member.unused_data
                self._member = None
                self._has_ended = True

    def finish(self) -> None:
        """Check that the last member is complete.

        Raises:
            MalformedBodyError: It is incomplete, or missing.
        """
        if self._member is not None or not self._has_ended:
            raise MalformedBodyError("The gzip body ends too early")

    def _next_member(self) -> _Member:
        if self._members_left == 0:
            raise MalformedBodyError("The body has too many gzip members")
        self._members_left -= 1
        self._member = zlib.decompressobj(_GZIP)
        return self._member
