"""Reads the pieces of which other tools make their spans: objects, lists, ids, call sites."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Final, TypeVar, cast

from otel_ext.errors import RecordError
from otel_ext.record.model import EMPTY, UNKNOWN_CALL_SITE, CallSite, Link
from otel_ext.runtime.process.records import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "Fields",
    "call_site_in",
    "fields_of",
    "hex_id",
    "items_of",
    "link_of",
    "objects_of",
    "parts_of",
]

Fields = dict[str, object]
Part = TypeVar("Part")

_HEX: Final = re.compile(r"(?:0x)?([0-9A-Fa-f]{1,32})")
_URL_SAFE: Final = str.maketrans("-_", "+/")


def fields_of(value: object) -> Fields:
    """Return a JSON object; an empty one for any other value."""
    return cast("Fields", value) if isinstance(value, dict) else {}


def items_of(value: object) -> list[object]:
    """Return a JSON list; an empty one for any other value."""
    return cast("list[object]", value) if isinstance(value, list) else []


def objects_of(value: object, name: str, lost: list[str]) -> Iterator[Fields]:
    """Yield the objects of a list; note in `lost` what is not an object in a list.

    Args:
        value: The list; None for an empty one.
        name: Its name.
        lost: Gets a text for each thing that is left out.
    """
    items = items_of(value)
    if value is not None and not isinstance(value, list):
        lost.append(f"{name}: not a list")
    for item in items:
        if isinstance(item, dict):
            yield cast("Fields", item)
        else:
            lost.append(f"{name}: not an object")


def parts_of(
    value: object, name: str, make: Callable[[Fields], Part], lost: list[str]
) -> list[Part]:
    """Return what can be made of the objects in a list; note the others in `lost`.

    Args:
        value: As for `objects_of`.
        name: As for `objects_of`.
        make: Makes a part of an object; may raise `RecordError`.
        lost: As for `objects_of`.
    """
    found: list[Part] = []
    for fields in objects_of(value, name, lost):
        try:
            found.append(make(fields))
        except RecordError as error:
            lost.append(f"{name}: {error}")
    return found


def hex_id(value: object, size: int) -> str:
    """Return an id in `size` lower-case hex digits; empty for an empty one or only zeros.

    An id that is not hexadecimal may be in base64, as JSON of protobuf has it.

    Raises:
        RecordError: It is not an id.

    >>> hex_id("0xAB", 4), hex_id("", 4), hex_id("0000", 4), hex_id("7uGbfsPBsXQ=", 16)
    ('00ab', '', '', 'eee19b7ec3c1b174')
    """
    text = str(value or "")
    match = _HEX.fullmatch(text)
    digits = match[1].lower().lstrip("0") if match is not None else _of_base64(text, size)
    if digits is None or len(digits) > size:
        raise RecordError(f"{text[:80]!r} is not an id", hint=f"An id has {size} hex digits.")
    return digits.zfill(size) if digits.strip("0") else ""


def _of_base64(text: str, size: int) -> str | None:
    """Return the hex digits of an id in base64; None if it is not one, empty without a text."""
    try:
        found = b64decode(text.translate(_URL_SAFE), validate=True)
    except ValueError:
        return None
    return found.hex() if len(found) * 2 in {0, size} else None


def link_of(trace_id: object, span_id: object, attributes: Mapping[str, object] = EMPTY) -> Link:
    """Return a link.

    Raises:
        RecordError: One of the two is missing, or not an id.
    """
    link = Link(hex_id(trace_id, 32), hex_id(span_id, 16), attributes)
    if not link.trace_id or not link.span_id:
        raise RecordError("it has no ids")
    return link


def call_site_in(attributes: Mapping[str, object]) -> CallSite:
    """Return the call site that attributes name, by OpenTelemetry's present or older names."""
    file = attributes.get("code.file.path") or attributes.get("code.filepath")
    line = attributes.get("code.line.number") or attributes.get("code.lineno")
    function = attributes.get("code.function.name") or attributes.get("code.function")
    number = whole_number(line)
    if not isinstance(file, str) or not number:
        return UNKNOWN_CALL_SITE
    return CallSite(file, number, str(function or "<unknown>"))
