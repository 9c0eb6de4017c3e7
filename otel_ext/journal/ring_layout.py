"""Layout of a ring buffer file: the header page, and the chunks of record lines.

The file has a fixed size. Its first page is the header: facts that never change (with a
checksum), then words that the worker changes in place. The rest of the first chunk, and
each further chunk, is filled from its beginning with plain record lines; unused bytes are
zero. The end of the header page takes the lines that close the file when the chunks are
full. Lines of JSON never contain a NUL byte, so the first NUL ends a chunk's content, and a
ring buffer with a damaged header can still be read.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

from otel_ext.record.model import Process

__all__ = [
    "HEADER_SIZE",
    "MAX_CHUNKS",
    "RING_FOLDER",
    "RING_SUFFIX",
    "RingFacts",
    "RingState",
    "chunk_start",
    "pack_facts",
    "unpack_facts",
    "unpack_state",
]

RING_FOLDER: Final = ".blackbox"
RING_SUFFIX: Final = ".ring"
HEADER_SIZE: Final = 4096
MAX_CHUNKS: Final = 64

_MAGIC: Final = b"OTXBOX\r\n"
_VERSION: Final = 1
_FACTS: Final = struct.Struct("<8sIIQQIQQQ")
_CHECKSUM_AT: Final = 2044
STAMP_AT: Final = 2048
LAST_SEQ_AT: Final = 2056
EXIT_MARK_AT: Final = 2064
# Another process sets the request to ask for the location of open spans; the worker copies
# it to the answer when that is recorded.
REQUEST_AT: Final = 2072
ANSWER_AT: Final = 2080
DROPPED_AT: Final = 2088
STEADY_STAMP_AT: Final = 2096  # zero if written by a version without it
DRAINED_AT: Final = 2112
LAST_LINES_AT: Final = DRAINED_AT + 8 * MAX_CHUNKS  # up to the end of the page
WORD: Final = struct.Struct("<Q")
_TEXTS: Final = 4
_MAX_TEXT: Final = 400


class RingFacts(NamedTuple):
    """The part of a ring buffer's header that never changes.

    Attributes:
        process: The process that writes, without its command line and its resource.
        created_ns: When the ring buffer was created, nanoseconds since the epoch.
        target: Name of the file it drains to; empty for the incarnation's own segments.
        size: Bytes of the whole file.
        chunk_size: Bytes of one chunk; the first includes the header.
    """

    process: Process
    created_ns: int
    target: str
    size: int
    chunk_size: int

    @property
    def chunks(self) -> int:
        """How many chunks the ring buffer has."""
        return self.size // self.chunk_size


class RingState(NamedTuple):
    """The part of a ring buffer's header that the worker changes.

    Attributes:
        stamp_ns: When the worker last stamped it, nanoseconds since the epoch.
        last_seq: Number of the incarnation's last record at that moment.
        drained: For each chunk, the offset up to which its lines are in the segment.
        dropped: How many records the process had dropped when the worker last stamped it.
        request: The last request for the location of open spans; 0 if none.
        answer: The request that was answered last.
        steady_ns: When the ring buffer was created or last stamped, by the monotonic clock,
            which cannot be set and which all processes of one boot share; 0 if unknown.
    """

    stamp_ns: int
    last_seq: int
    drained: tuple[int, ...]
    dropped: int
    request: int
    answer: int
    steady_ns: int


def chunk_start(index: int) -> int:
    """Return the offset inside chunk `index` at which its content begins."""
    return HEADER_SIZE if index == 0 else 0


def pack_facts(facts: RingFacts) -> bytes:
    """Return the first part of the header page, which never changes."""
    process = facts.process
    head = _FACTS.pack(
        _MAGIC,
        _VERSION,
        HEADER_SIZE,
        facts.size,
        facts.chunk_size,
        process.pid,
        process.start_time,
        process.pid_namespace,
        facts.created_ns,
    )
    for text in (process.id, process.boot_id, process.host, facts.target):
        data = text.encode("utf-8", "replace")[:_MAX_TEXT]
        head += struct.pack("<H", len(data)) + data
    head = head.ljust(_CHECKSUM_AT, b"\0")
    return head + struct.pack("<I", zlib.crc32(head))


def unpack_facts(header: bytes) -> RingFacts | None:
    """Return the facts of a header page; None if it is damaged or of another format."""
    if len(header) < HEADER_SIZE or header[:8] != _MAGIC:
        return None
    (checksum,) = struct.unpack_from("<I", header, _CHECKSUM_AT)
    if zlib.crc32(header[:_CHECKSUM_AT]) != checksum:
        return None
    _, version, header_size, size, chunk_size, *numbers = _FACTS.unpack_from(header)
    chunks = size // chunk_size if chunk_size else 0
    if version != _VERSION or header_size != HEADER_SIZE or not 0 < chunks <= MAX_CHUNKS:
        return None
    texts: list[str] = []
    at = _FACTS.size
    for _ in range(_TEXTS):
        (length,) = struct.unpack_from("<H", header, at)
        texts.append(header[at + 2 : at + 2 + length].decode("utf-8", "replace"))
        at += 2 + length
    pid, start_time, pid_namespace, created_ns = numbers
    name, boot_id, host, target = texts
    process = Process(name, pid, start_time, boot_id, host, pid_namespace=pid_namespace)
    return RingFacts(process, created_ns, target, size, chunk_size)


def unpack_state(header: bytes, chunks: int) -> RingState:
    """Return the changing words of a header page for a ring buffer of `chunks` chunks."""

    def word(at: int) -> int:
        value: int = WORD.unpack_from(header, at)[0]
        return value

    return RingState(
        stamp_ns=word(STAMP_AT),
        last_seq=word(LAST_SEQ_AT),
        drained=struct.unpack_from(f"<{chunks}Q", header, DRAINED_AT),
        dropped=word(DROPPED_AT),
        request=word(REQUEST_AT),
        answer=word(ANSWER_AT),
        steady_ns=word(STEADY_STAMP_AT),
    )
