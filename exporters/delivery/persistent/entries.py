"""Encodes what is on disk: requests as entries of a file, and dead letters as lines of JSON.

An entry is a line of JSON, the body as it is sent, and a newline. The line has the
body's size and checksum, so an entry is either whole or known to be damaged. Behind a
damaged part the search goes on at the next line that starts an entry.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from zlib import crc32

import orjson

from otel_ext.protocols import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.protocols import RequestSender

__all__ = ["Entry", "count_records", "encode_entry", "encode_letter", "entries_in"]

_START: Final = b'{"otel_ext_request":'
_NEXT: Final = b"\n" + _START
_VERSION: Final = 1
_MAX_HEAD: Final = 1_024
_LONGEST_REASON: Final = 1_000


class Entry(NamedTuple):
    """A request in a file.

    Attributes:
        request: The request.
        is_final: Whether its records are final records of spans.
        is_suspect: Whether it has failed while others were accepted, so that it is sent alone.
        start: The offset of the entry.
        end: The offset behind it.
    """

    request: Request
    is_final: bool
    is_suspect: bool
    start: int
    end: int


def encode_entry(request: Request, *, is_final: bool, is_suspect: bool = False) -> bytes:
    r"""Return a request as an entry; the other arguments are as in `Entry`.

    >>> data = b"half an entry\n" + encode_entry(Request("logs", b"body", 3), is_final=False)
    >>> [(one.request.records, one.start) for one in entries_in(data)]
    [(3, 14)]
    """
    head = {
        "otel_ext_request": _VERSION,
        "signal": request.signal,
        "final": is_final,
        "suspect": is_suspect,
        "records": request.records,
        "size": len(request.body),
        "checksum": crc32(request.body),
    }
    return b"%b\n%b\n" % (orjson.dumps(head), request.body)


def entries_in(data: bytes, offset: int = 0) -> Iterator[Entry]:
    """Yield the whole entries in the content of a file, from `offset` on."""
    if not data.startswith(_START, offset):
        offset = data.find(_NEXT, offset) + 1
    while data.startswith(_START, offset):
        entry = _entry_at(data, offset)
        if entry is not None:
            yield entry
        # The newline that ends this entry is the one before the next.
        offset = data.find(_NEXT, offset if entry is None else entry.end - 1) + 1
        if not offset:
            return


def count_records(data: bytes) -> int:
    """Return how many records the whole entries in the content of a file have."""
    return sum(entry.request.records for entry in entries_in(data))


def encode_letter(request: Request, reason: str, sender: RequestSender) -> bytes:
    """Return a refused request as a line for people, made by the `to_json` of its sender."""
    try:
        record = orjson.loads(sender.to_json(request))
    except Exception:  # noqa: BLE001 - the sender may be the user's, the body of another version
        record = {"base64": b64encode(request.body).decode()}
    cut = reason[:_LONGEST_REASON].encode(errors="replace").decode()
    return orjson.dumps({"refused": cut, "record": record}, option=orjson.OPT_APPEND_NEWLINE)


def _entry_at(data: bytes, start: int) -> Entry | None:
    """Return the entry at an offset; None if it is damaged."""
    end_of_head = data.find(b"\n", start, start + _MAX_HEAD)
    try:
        head = cast("dict[str, object]", orjson.loads(data[start : max(end_of_head, start)]))
    except orjson.JSONDecodeError:
        return None
    signal, records, size = head.get("signal"), head.get("records"), head.get("size")
    if not (isinstance(signal, str) and isinstance(records, int) and isinstance(size, int)):
        return None
    body = data[end_of_head + 1 : end_of_head + 1 + size]
    end = end_of_head + size + 2
    is_whole = len(body) == size and data[end - 1 : end] == b"\n"
    if not is_whole or records < 1 or crc32(body) != head.get("checksum"):
        return None
    is_final, is_suspect = head.get("final") is True, head.get("suspect") is True
    return Entry(Request(signal, body, records), is_final, is_suspect, start, end)
