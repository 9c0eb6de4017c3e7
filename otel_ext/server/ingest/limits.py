"""`IngestLimits`: how much one request may contain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from otel_ext.settings.units import MIB

__all__ = ["DEFAULT_LIMITS", "IngestLimits"]


@dataclass(frozen=True)
class IngestLimits:
    """How much one request may contain; the bytes of its body are limited by the caller.

    What exceeds the limit of a span or log record is left out with the record format's notes,
    and the rest of the record is kept. Texts are cut at 65,536 characters, as in any record.

    Attributes:
        records: Spans or log records; the others are rejected.
        attributes: Attributes of a span, a log record, an event or a link.
        events: Events of a span.
        links: Links of a span.
        record_bytes: Bytes of one span or log record in protobuf; a larger one is rejected.
            The same holds for a resource or a scope; its records are rejected with it.
        record_fields: Fields of such a record, resource or scope of more than 64 KiB, nested ones
            included; one with more is rejected. Empty values take two bytes each, and up to
            eighty in memory.
        fields: Such fields of a whole request; what follows is rejected.
        values: In protobuf, attributes, events, links and items of lists and objects, nested
            ones included; records beyond this are rejected.
        shared_values: The same of all resources and scopes of a request together.
        line_bytes: Bytes of the lines that are made of a request; records beyond this are
            rejected. A character may take six bytes there.
        json_bytes: Bytes of a request in JSON; a larger one is refused. A text with one rare
            character takes four times its bytes in memory.
        json_values: In JSON, opening brackets and commas; a request with more is refused. An
            attribute takes four of them, and half a kilobyte in memory.
        json_depth: Levels of brackets in JSON. An object within a value takes four of them, so
            that the 24 levels that otel-ext's exporter sends have room.
        lines: Lines of records; the others are rejected.
        foreign_values: Opening brackets and commas in lines of records that are not as our encoder
            writes them, which takes time; the others of these lines are rejected.
    """

    records: int = 10_000
    attributes: int = 128
    events: int = 128
    links: int = 128
    record_bytes: int = 4 * MIB
    record_fields: int = 250_000
    fields: int = 2_000_000
    values: int = 1_000_000
    shared_values: int = 200_000
    line_bytes: int = 48 * MIB
    json_bytes: int = 16 * MIB
    json_values: int = 500_000
    json_depth: int = 128
    lines: int = 200_000
    foreign_values: int = 3_000_000


DEFAULT_LIMITS: Final = IngestLimits()
"""The limits of a request for which nothing else is given."""
