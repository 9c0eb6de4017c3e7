"""Counts the fields of a large message on the wire, before objects are made of it.

The protobuf library makes objects of a whole message at once. An empty link takes two bytes on the
wire and eighty in memory, so that a span of 4 MiB could take more than a hundred times as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.errors import RecordError
from otel_ext.server.ingest.otlp.wire import FieldReader
from otel_ext.server.ingest.result import MalformedError
from otel_ext.settings.units import KIB

if TYPE_CHECKING:
    from otel_ext.server.ingest.limits import IngestLimits

__all__ = ["LOG", "RESOURCE", "SCOPE", "SPAN", "FieldCheck", "Shape"]

# Smaller messages are not counted: whatever they are, they take a few MiB at most.
_SMALL: Final = 64 * KIB


Shape: TypeAlias = "dict[int, Shape]"
"""Which fields of a message are messages: their shapes, by the number of the field."""

_VALUE: Final[Shape] = {}
_PAIR: Final[Shape] = {2: _VALUE}
_VALUE.update({5: {1: _VALUE}, 6: {1: _PAIR}})
RESOURCE: Final[Shape] = {1: _PAIR, 3: {}}
"""The shape of a `Resource`."""
SCOPE: Final[Shape] = {3: _PAIR}
"""The shape of an `InstrumentationScope`."""
SPAN: Final[Shape] = {9: _PAIR, 11: {3: _PAIR}, 13: {4: _PAIR}, 15: {}}
"""The shape of a `Span`."""
LOG: Final[Shape] = {5: _VALUE, 6: _PAIR}
"""The shape of a `LogRecord`."""


class FieldCheck:
    """Refuses messages of a request that would take too much memory.

    Args:
        limits: How much it may contain.

    >>> from otel_ext.server.ingest.limits import DEFAULT_LIMITS
    >>> FieldCheck(DEFAULT_LIMITS).check(bytes.fromhex("6a00") * 300_000, SPAN)
    Traceback (most recent call last):
    otel_ext.errors.RecordError: it has too many values
    """

    def __init__(self, limits: IngestLimits) -> None:
        self._limits = limits
        self._left = limits.fields

    def check(self, data: bytes, shape: Shape) -> None:
        """Check a message.

        Args:
            data: The message.
            shape: What it is.

        Raises:
            RecordError: It is too large, has too many fields, or those before it had; or it is
                not valid protobuf.
        """
        size, most = len(data), self._limits.record_bytes
        if size > most:
            raise RecordError(f"it has {size} bytes, more than {most}")
        if size <= _SMALL:
            return
        room = min(self._limits.record_fields, self._left)
        reader = FieldReader(data, room)
        try:
            _read(reader, shape)
        except (IndexError, MalformedError):
            if reader.left >= 0:
                raise RecordError("it is not valid protobuf") from None
            whose = "it" if room == self._limits.record_fields else "the request"
            raise RecordError(f"{whose} has too many values") from None
        finally:
            self._left -= room - max(reader.left, 0)


def _read(reader: FieldReader, shape: Shape) -> None:
    """Read all fields of a message, and of those in it."""
    waiting = [(shape, 0, len(reader.body))]
    while waiting:
        children, at, stop = waiting.pop()
        for number, start, end in reader.fields(at, stop):
            if number in children and end > start:
                waiting.append((children[number], start, end))
