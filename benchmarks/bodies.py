"""Prepares bodies of requests in a file, so that to send them costs the sender little."""

from __future__ import annotations

from itertools import islice
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from benchmarks.hour import records_of_an_hour
from otel_ext.exporters.otlp.encoding.compiled import encode_span
from otel_ext.record.codec import encode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from otel_ext.record.model import Record

__all__ = ["Body", "read_bodies", "write_line_bodies", "write_otlp_bodies"]

RECORDS: Final = 500
_HEAD: Final = Struct("<II")


class Body(NamedTuple):
    """The body of a request.

    Attributes:
        data: Its bytes.
        records: How many records it has.
    """

    data: bytes
    records: int


def write_otlp_bodies(path: Path, spans: int) -> None:
    """Write requests of OTLP in protobuf, of 500 spans each, as an SDK sends them.

    Args:
        path: The file.
        spans: How many spans in all.
    """
    ends = (record for record in records_of_an_hour(spans) if record.phase == "end")
    _write(path, ends, _otlp_body)


def write_line_bodies(path: Path, records: int) -> None:
    """Write lines of records, 500 in each body: a start and an end of each span.

    Args:
        path: The file.
        records: How many records in all, about.
    """
    _write(path, records_of_an_hour(records // 2), lambda some: b"".join(map(encode_line, some)))


def _write(
    path: Path, records: Iterable[Record], body_of: Callable[[Sequence[Record]], bytes]
) -> None:
    left = iter(records)
    with path.open("wb") as file:
        while some := list(islice(left, RECORDS)):
            body = body_of(some)
            file.write(_HEAD.pack(len(body), len(some)))
            file.write(body)


def _otlp_body(records: Sequence[Record]) -> bytes:
    """Return a request with the spans by service."""
    data = TracesData()
    by_process: dict[str, list[Record]] = {}
    for record in records:
        by_process.setdefault(record.process.id, []).append(record)
    for own in by_process.values():
        of_resource = data.resource_spans.add()
        attribute = of_resource.resource.attributes.add(key="service.name")
        attribute.value.string_value = str(own[0].process.resource["service.name"])
        of_scope = of_resource.scope_spans.add()
        of_scope.scope.name = "shop"
        for record in own:
            of_scope.spans.add().ParseFromString(encode_span(record))
    return data.SerializeToString()


def read_bodies(file: BinaryIO) -> Iterator[Body]:
    """Yield the bodies in a file that was written here."""
    while head := file.read(_HEAD.size):
        size, records = _HEAD.unpack(head)
        yield Body(file.read(size), records)
