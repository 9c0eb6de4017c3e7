"""Makes bodies of requests that are small when sent, and would take much memory or time."""

from __future__ import annotations

import os
import time
import zlib
from typing import Final, NamedTuple

__all__ = ["HostileBody", "field", "hostile_bodies"]

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"


class HostileBody(NamedTuple):
    """The body of a request.

    Attributes:
        what: What there is very much of.
        path: Where it is sent.
        media_type: What it is.
        data: Its bytes, in gzip.
    """

    what: str
    path: str
    media_type: str
    data: bytes

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its request."""
        return {"content-type": self.media_type, "content-encoding": "gzip"}


def hostile_bodies() -> list[HostileBody]:
    """Return one body for each way."""
    nested = '{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'
    pairs = ",".join(['{"key":"k","value":{"stringValue":"a"}}'] * 110_000)
    items = field(9, field(1, b"k") + field(2, field(5, b"\x0a\x00" * 1_500_000)))
    texts = _request(*(_span(_text(b"\x01" * 15_000)) for _ in range(1_500)))
    spans = {
        "attributes": _request(_span(b"\x4a\x00" * 1_900_000)),
        "events": _request(_span(b"\x5a\x00" * 1_900_000)),
        "links": _request(*[_span(b"\x6a\x00" * 1_900_000)] * 4),
        "items": _request(_span(items)),
        "attributes of a resource": _request(_span(b""), resource=b"\x0a\x00" * 8_000_000),
        "control characters": texts,
    }
    documents = {
        "attributes in JSON": nested % f'{{"attributes":[{pairs}]}}',
        "wide text in JSON": nested % f'{{"name":"{"x" * 15_000_000}\U0001f600"}}',
    }
    return [
        *(_packed(what, "/v1/traces", _PROTOBUF, data) for what, data in spans.items()),
        _packed("scopes", "/v1/logs", _PROTOBUF, field(1, field(2, b"\x12\x00" * 9_000_000))),
        *(_packed(what, "/v1/traces", _JSON, text.encode()) for what, text in documents.items()),
        _packed("lines", "/api/v1/records", _LINES, (b"[1" + b",1" * 200 + b"]\n") * 60_000),
    ]


def field(number: int, data: bytes) -> bytes:
    """Return a field of protobuf that is a message or a text.

    >>> field(1, b"ab").hex()
    '0a026162'
    """
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    data = b""
    while value > 127:  # noqa: PLR2004 - seven bits a byte
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def _request(*spans: bytes, resource: bytes = b"") -> bytes:
    """Return a request with spans in protobuf."""
    return field(1, field(1, resource) + field(2, b"".join(field(2, one) for one in spans)))


def _span(rest: bytes) -> bytes:
    """Return a span in protobuf, with more fields."""
    now = time.time_ns()
    times = b"\x39" + now.to_bytes(8, "little") + b"\x41" + (now + 5).to_bytes(8, "little")
    return field(1, os.urandom(16)) + field(2, os.urandom(8)) + field(5, b"n") + times + rest


def _text(value: bytes) -> bytes:
    """Return an attribute of a span."""
    return field(9, field(1, b"k") + field(2, field(1, value)))


def _packed(what: str, path: str, media_type: str, data: bytes) -> HostileBody:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return HostileBody(what, path, media_type, packer.compress(data) + packer.flush())
