"""Parses OTLP requests in JSON, within limits of size and depth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

import orjson

from otel_ext.formats.read.otlp_values import otlp_field
from otel_ext.formats.read.pieces import fields_of, items_of
from otel_ext.record.schema.depth import is_deeper
from otel_ext.server.ingest.result import MalformedError
from otel_ext.settings.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.formats.read.pieces import Fields
    from otel_ext.server.ingest.limits import IngestLimits

__all__ = ["load_request", "take_records"]

# A request may have so many groups of records for each record.
_GROUPS: Final = 10
_LONGEST: Final = 120
# The parser of the standard library first makes a text of all, of up to four times the bytes.
_MOST_AGAIN: Final = 4 * MIB


def load_request(body: bytes, name: str, limits: IngestLimits) -> Fields:
    """Return a request in JSON.

    Args:
        body: The text.
        name: The name of its list, such as `resourceSpans`.
        limits: How much it may contain.

    Raises:
        MalformedError: It is not a JSON object, too deep, or has too many values.
    """
    if len(body) > limits.json_bytes:
        raise MalformedError(
            f"the request has more than {limits.json_bytes} bytes of JSON",
            hint="Send it in several.",
        )
    if body.count(b"{") + body.count(b"[") + body.count(b",") > limits.json_values:
        raise MalformedError(
            f"the request has more than {limits.json_values} brackets and commas",
            hint="Send it in several.",
        )
    if is_deeper(body, limits.json_depth):
        raise MalformedError(f"the request nests deeper than {limits.json_depth} levels")
    document = _parsed(body)
    if not isinstance(document, dict):
        raise MalformedError("the request is not a JSON object")
    request = cast("Fields", document)
    found = otlp_field(request, name)
    if found is not None and not isinstance(found, list):
        raise MalformedError(f"{name} is not a list")
    return request


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if len(body) > _MOST_AGAIN:
            raise MalformedError(f"the request is not JSON: {str(error)[:_LONGEST]}") from None
    try:
        return json.loads(body)  # JavaScript escapes halves of surrogate pairs
    except RecursionError:
        raise MalformedError("the request nests too deep") from None
    except ValueError as error:  # also of an integer with too many digits
        raise MalformedError(f"the request is not JSON: {str(error)[:_LONGEST]}") from None


def take_records(request: Fields, path: tuple[str, str, str], most: int) -> tuple[int, int]:
    """Remove the records beyond a limit from a request in JSON.

    Args:
        request: The request, which is changed.
        path: The names of the lists down to the records.
        most: How many are kept.

    Returns:
        How many are kept, and how many are not.

    Raises:
        MalformedError: There are far too many lists of records.

    >>> request = {"resourceSpans": [{"scopeSpans": [{"spans": [1, 2, 3]}]}]}
    >>> take_records(request, ("resourceSpans", "scopeSpans", "spans"), 2), request
    ((2, 1), {'resourceSpans': [{'scopeSpans': [{'spans': [1, 2]}]}]})
    """
    kept = left_out = 0
    for number, records in enumerate(_lists(request, path)):
        if number > most * _GROUPS:
            raise MalformedError("the request has too many parts", hint="Send it in several.")
        room = most - kept
        left_out += max(len(records) - room, 0)
        del records[room:]
        kept += len(records)
    return kept, left_out


def _lists(request: Fields, path: tuple[str, str, str]) -> Iterator[list[object]]:
    """Yield the lists of records, and an empty one for each resource."""
    groups, scopes, records = path
    for of_resource in items_of(otlp_field(request, groups)):
        fields = fields_of(of_resource)
        yield []
        for name in (scopes, "instrumentationLibrarySpans"):
            for of_scope in items_of(otlp_field(fields, name)):
                yield items_of(otlp_field(fields_of(of_scope), records))
