"""Takes an OTLP request in protobuf apart, down to its spans or log records, which stay bytes.

The protobuf library makes objects of a whole request at once: of a body of 32 MiB it can make
more than a gigabyte, and one damaged text makes it refuse all. So each record is parsed by
itself, and what is around the records is read here.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.server.ingest.result import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FieldReader", "Group", "Groups", "groups_in"]

# Numbers of fields; traces and logs have the same ones.
_GROUPS: Final = 1
_SHARED: Final = 1  # the resource, or the scope
_CHILDREN: Final = 2
# Types of fields on the wire.
_VARINT: Final = 0
_BYTES: Final = 2
_FIXED: Final = {1: 8, 5: 4}
# So many fields are read for each record that is taken at most.
_FIELDS: Final = 10
_ONE_BYTE: Final = 0x80
_LONGEST_VARINT: Final = 63


class Group(NamedTuple):
    """The records of one scope of one resource, all in protobuf."""

    resource: bytes
    scope: bytes
    records: list[bytes]


class Groups(NamedTuple):
    """The records of a request.

    Attributes:
        groups: Those with records.
        records: How many records are in them.
        left_out: How many are not, beyond the limit.
    """

    groups: list[Group]
    records: int
    left_out: int


def groups_in(body: bytes, most: int) -> Groups:
    """Return the records of a request.

    Args:
        body: An `ExportTraceServiceRequest` or `ExportLogsServiceRequest`.
        most: How many records are taken at most.

    Raises:
        MalformedError: It is not protobuf, or has more than ten times as many records or groups
            of them.

    >>> groups_in(bytes.fromhex("0a 06 12 04 12 02 6162"), 10)
    Groups(groups=[Group(resource=b'', scope=b'', records=[b'ab'])], records=1, left_out=0)
    """
    reader = FieldReader(body, most * _FIELDS)
    found: list[Group] = []
    count = left_out = 0
    try:
        for of_resource in reader.fields(0, len(body)):
            if of_resource[0] != _GROUPS:
                continue
            resource, of_scopes = _split(reader, *of_resource[1:])
            for of_scope in of_scopes:
                scope, records = _split(reader, *of_scope)
                room = most - count
                count += min(len(records), room)
                left_out += max(len(records) - room, 0)
                if records and room:
                    data = [body[start:stop] for start, stop in records[:room]]
                    found.append(Group(resource, scope, data))
    except IndexError:
        raise MalformedError("the request is not valid protobuf: it ends too early") from None
    return Groups(found, count, left_out)


def _split(reader: FieldReader, start: int, stop: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Return what the children of a message share, and where they are."""
    shared: list[bytes] = []
    children: list[tuple[int, int]] = []
    for number, at, end in reader.fields(start, stop):
        if number == _CHILDREN:
            children.append((at, end))
        elif number == _SHARED:
            shared.append(reader.body[at:end])
    return b"".join(shared), children  # messages that follow each other are one


class FieldReader:
    """Reads the fields of messages, up to a number of them.

    Args:
        body: The bytes that contain the messages.
        most: How many fields are read at most.

    Attributes:
        body: The same.
        left: How many fields may still be read; negative if there were too many.
    """

    def __init__(self, body: bytes, most: int) -> None:
        self.body = body
        self.left = most

    def fields(self, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield number, start and end of the fields of a message that are messages or texts.

        Args:
            at: Where the message begins in the body.
            stop: Where it ends.

        Raises:
            MalformedError: They are not fields, or too many.
            IndexError: The body ends within a number.
        """
        body = self.body
        while at < stop:
            self.left -= 1
            if self.left < 0:
                raise MalformedError("the request has too many parts", hint="Send it in several.")
            tag, at = _varint(body, at)
            kind = tag & 7
            if kind == _BYTES:
                size, at = _varint(body, at)
                end = at + size
            elif kind == _VARINT:
                _, end = _varint(body, at)
            elif kind in _FIXED:
                end = at + _FIXED[kind]
            else:
                raise MalformedError(f"the request is not valid protobuf: a field of type {kind}")
            if end > stop or not tag >> 3:
                raise MalformedError(f"the request is not valid protobuf: see byte {at}")
            if kind == _BYTES:
                yield tag >> 3, at, end
            at = end


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable size, and where it ends."""
    byte = body[at]
    at += 1
    if byte < _ONE_BYTE:
        return byte, at
    number, shift = byte & 0x7F, 7
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < _ONE_BYTE:
            return number, at
        shift += 7
        if shift > _LONGEST_VARINT:
            raise MalformedError("the request is not valid protobuf: a number of more than 64 bits")
