"""Formats attributes for the few columns of a line, the most informative ones first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from otel_ext.record.sanitise.values import encode_value
from otel_ext.terminal.text import cells, cut, printable

__all__ = ["PLAIN_WIDTH", "by_interest", "format_attributes"]

PLAIN_WIDTH: Final = 200
"""Columns for attributes in output without a width, such as a file or a pipe."""
_MAX_VALUE: Final = 48
_MAX_TEXT: Final = 4_096
_PLAIN: Final = frozenset("-._:/@+%,")
# A value cut to fewer columns is of no use.
_LEAST_VALUE: Final = 8
# Status and errors, by OpenTelemetry's conventions; shown before all others.
_FIRST: Final = (
    *("http.response.status_code", "http.status_code", "rpc.grpc.status_code"),
    "error.type",
)
_SECOND: Final = (
    *("http.route", "url.path", "http.target", "url.full", "http.url"),
    *("db.query.text", "db.statement", "db.operation.name"),
    *("messaging.destination.name", "messaging.destination"),
    *("rpc.service", "rpc.method", "server.address"),
)
# First parts of the names that instrumentations set; the user's own names have others.
_CONVENTIONS: Final = frozenset(
    {
        *("http", "url", "net", "network", "server", "client", "peer", "user_agent"),
        *("db", "rpc", "messaging", "faas", "cloud", "code", "thread", "exception"),
        *("otel", "error", "asgi", "process", "host", "service", "telemetry", "tls"),
    }
)


def by_interest(attributes: Mapping[str, object]) -> list[tuple[str, object]]:
    """Sort attributes by how informative they are for a reader.

    First status codes, then those that the program itself has set, then the subject of
    a request or query, then the rest, each group in its own order.

    >>> [key for key, _ in by_interest({"http.scheme": "http", "http.route": "/", "user": 7})]
    ['user', 'http.route', 'http.scheme']
    """
    keys = [
        *(key for key in _FIRST if key in attributes),
        *(key for key in attributes if key.partition(".")[0] not in _CONVENTIONS),
        *(key for key in _SECOND if key in attributes),
        *attributes,
    ]
    return [(key, attributes[key]) for key in dict.fromkeys(keys)]


def format_attributes(attributes: Mapping[str, object], width: int) -> str:
    """Format attributes as `key=value`, as many as fit into `width` columns.

    >>> format_attributes({"user": "ann", "note": "two words", "sizes": (1, 2)}, 40)
    'user=ann note="two words" sizes=[1,2]'
    >>> format_attributes({"user": "ann", "note": "a longer text"}, 24)
    'user=ann note="a longer…'
    >>> format_attributes({"user": "ann", "note": "two words"}, 12)
    'user=ann …'
    >>> format_attributes({"user": "ann"}, 8)
    'user=ann'
    """
    parts: list[str] = []
    room = width
    ordered = by_interest(attributes)
    for left, (key, value) in zip(range(len(ordered) - 1, -1, -1), ordered, strict=True):
        name = printable(key, _MAX_VALUE)
        part = f"{name}={_value(value)}"
        # All but the last must leave space for an ellipsis.
        if cells(part) + (2 if left else 0) > room:
            if room - cells(name) - 1 >= _LEAST_VALUE:
                return " ".join([*parts, cut(part, room)])
            return " ".join([*parts, "…"])[: max(width, 0)]
        room -= cells(part) + 1
        parts.append(part)
    return " ".join(parts)


def _value(value: object) -> str:
    shown: object = value
    if isinstance(value, str):
        # Statements and the like may have several lines; here they get one.
        shown = text = " ".join(str.__str__(value)[:_MAX_TEXT].split())
        if text and (text.isalnum() or all(c.isalnum() or c in _PLAIN for c in text[:_MAX_VALUE])):
            return printable(text, _MAX_VALUE)
    elif isinstance(value, (Sequence, Mapping)):
        items = cast("Sequence[object]", value)
        if len(items) > _MAX_VALUE:
            return f"[{len(items)} items]"
    return printable(encode_value(shown).decode(), _MAX_VALUE)
