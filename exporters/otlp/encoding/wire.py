"""Writes protobuf's wire format: numbers and fields, as far as OTLP's messages have them.

A field is its tag, which holds its number and its type, and then its value. One whose value is
0 or empty is left out, since readers take that for granted. The rules:
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from struct import Struct
from typing import Final

__all__ = ["fixed32", "fixed64", "message", "number", "tag_of", "text", "varint"]

_MORE: Final = 0x80
_BITS: Final = 7
_ONE_BYTE: Final = [bytes([number]) for number in range(_MORE)]
_TWO_BYTES: Final = 1 << 14
_FIXED32: Final = Struct("<I").pack
_FIXED64: Final = Struct("<Q").pack
_WIRE_TYPES: Final = {"varint": 0, "fixed64": 1, "length": 2, "fixed32": 5}


def varint(number: int) -> bytes:
    r"""Return a number in as few bytes as it needs, seven bits each.

    Args:
        number: From 0 to 2 ** 64 - 1.

    >>> varint(1), varint(300)
    (b'\x01', b'\xac\x02')
    """
    if number < _MORE:
        return _ONE_BYTE[number]
    if number < _TWO_BYTES:
        return bytes((number & 0x7F | _MORE, number >> _BITS))
    made = bytearray()
    while number >= _MORE:
        made.append(number & 0x7F | _MORE)
        number >>= _BITS
    made.append(number)
    return bytes(made)


def tag_of(number: int, kind: str) -> bytes:
    r"""Return the tag of a field.

    Args:
        number: The field's number in its message.
        kind: `varint`, `fixed32`, `fixed64`, or `length` for texts, bytes and messages.

    >>> tag_of(1, "length"), tag_of(16, "fixed32")
    (b'\n', b'\x85\x01')
    """
    return varint(number << 3 | _WIRE_TYPES[kind])


def message(tag: bytes, data: bytes) -> bytes:
    r"""Return a field with a message or bytes; an empty one too, since it counts as present.

    >>> message(b"\n", b"abc")
    b'\n\x03abc'
    """
    size = len(data)
    return tag + (_ONE_BYTE[size] if size < _MORE else varint(size)) + data


def text(tag: bytes, value: str) -> bytes:
    r"""Return a field with a text, nothing if it is empty.

    >>> text(b"\n", "é"), text(b"\n", "")
    (b'\n\x02\xc3\xa9', b'')
    """
    return message(tag, value.encode()) if value else b""


def number(tag: bytes, value: int) -> bytes:
    r"""Return a field with a whole number, nothing if it is 0.

    >>> number(b"\x10", 300), number(b"\x10", 0)
    (b'\x10\xac\x02', b'')
    """
    return tag + varint(value) if value else b""


def fixed32(tag: bytes, number: int) -> bytes:
    r"""Return a field with a number of 32 bits, nothing if it is 0.

    >>> fixed32(b"E", 1)
    b'E\x01\x00\x00\x00'
    """
    return tag + _FIXED32(number) if number else b""


def fixed64(tag: bytes, number: int) -> bytes:
    r"""Return a field with a number of 64 bits, nothing if it is 0.

    Raises:
        struct.error: It is negative, or does not fit.

    >>> fixed64(b"\t", 1)
    b'\t\x01\x00\x00\x00\x00\x00\x00\x00'
    """
    return tag + _FIXED64(number) if number else b""
