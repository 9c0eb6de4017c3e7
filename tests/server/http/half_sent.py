"""Begins a gRPC call without a library, and sends only a part of its message."""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["half_sent", "is_ended"]

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0, 1, 3, 4
_END_STREAM, _END_HEADERS = 1, 4


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2: https://www.rfc-editor.org/rfc/rfc9113#name-frame-format."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _headers(path: str) -> bytes:
    """Return the headers of a call, in literals of HPACK."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    return b"".join(
        bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )


@contextmanager
def half_sent(address: str, path: str, *, length: int, sent: int) -> Generator[socket.socket]:
    """Send the first bytes of a message; yield the connection.

    Args:
        address: The host and port.
        path: The method.
        length: How long the message is to be, in bytes.
        sent: How much of it is sent, in bytes; at most 16 KiB.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        message = b"\0" + struct.pack(">I", length) + bytes(sent)
        connection.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, b"")
            + _frame(_HEADERS, _END_HEADERS, 1, _headers(path))
            + _frame(_DATA, 0, 1, message)
        )
        yield connection


def is_ended(connection: socket.socket) -> bool:
    """Whether the server has ended the call; waits until it has, at most 30 s."""
    received = connection.makefile("rb")
    while len(start := received.read(9)) == 9:
        kind, flags = start[3], start[4]
        received.read(int.from_bytes(start[:3], "big"))
        if kind == _RST_STREAM or (kind == _HEADERS and flags & _END_STREAM):
            return True
    return False
