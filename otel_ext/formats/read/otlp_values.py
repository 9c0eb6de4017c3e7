"""Reads the values and attributes of OTLP/JSON.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_ext.formats.read.pieces import fields_of, items_of
from otel_ext.record.sanitise.budget import TOO_DEEP

if TYPE_CHECKING:
    from otel_ext.formats.read.pieces import Fields

__all__ = ["DEEPEST", "otlp_attributes", "otlp_field", "otlp_value"]

DEEPEST: Final = 32
"""The most lists and objects within each other that are read."""

_INTEGER: Final = re.compile(r"-?\d{1,20}", re.ASCII)


def otlp_field(fields: Fields, name: str) -> object:
    """Return a field by its name in JSON, or by that in protobuf, which is allowed too."""
    if name in fields:
        return fields[name]
    return fields.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def otlp_attributes(owner: Fields) -> dict[str, object]:
    """Return the attributes of a span, an event, a resource or anything else that has some."""
    return _pairs(owner.get("attributes"), 0)


def otlp_value(value: object, depth: int = 0) -> object:
    """Return an `AnyValue` as plain data; bytes stay base64 text.

    Args:
        value: The object, whose only key is the kind of the value.
        depth: In how many lists and objects it is.

    >>> otlp_value({"intValue": "5"}), otlp_value({"arrayValue": {"values": [{}]}}), otlp_value({})
    (5, [None], None)
    """
    for kind, found in fields_of(value).items():
        name = kind.replace("_", "").lower()
        if name == "intvalue" and isinstance(found, str) and _INTEGER.fullmatch(found):
            return int(found)
        if name in {"arrayvalue", "kvlistvalue"}:
            if depth >= DEEPEST:
                return TOO_DEEP
            values = fields_of(found).get("values")
            if name == "kvlistvalue":
                return _pairs(values, depth + 1)
            return [otlp_value(item, depth + 1) for item in items_of(values)]
        return found
    return None


def _pairs(pairs: object, depth: int) -> dict[str, object]:
    return {
        str(pair.get("key") or ""): otlp_value(pair.get("value"), depth)
        for pair in map(fields_of, items_of(pairs))
    }
