"""Fast path: recognizes the attributes that need no cleaning, which most do not."""

from __future__ import annotations

import datetime as dt
import uuid
from math import isfinite
from typing import Any, Final, TypeAlias, cast

from otel_ext.record.sanitise.cleaning import MAX_DEPTH, MAX_TEXT

__all__ = ["is_plain"]

_Container: TypeAlias = "dict[object, object] | list[object] | tuple[object, ...]"

_CONTAINERS: Final[frozenset[type]] = frozenset({dict, list, tuple})
# Types that the encoder writes as this package does. It refuses integers that are too
# long for it.
_SCALARS: Final[frozenset[type]] = frozenset(
    {int, bool, type(None), dt.datetime, dt.date, dt.time, uuid.UUID}
)
# The fewest bytes that a key, and a value, adds to the line.
_KEY: Final = 3
_VALUE: Final = 2
_TOO_MUCH: Final = -1


def is_plain(mapping: object) -> bool:
    """Whether the encoder writes `mapping` as this package does, in little time.

    The encoder itself has no limit: data whose levels each hold the next one twice would
    fill any memory.

    Args:
        mapping: The user's data. Only Python's own types, not subclasses, are plain.

    >>> is_plain({"a": [1, {"b": None}]}), is_plain({"a": float("nan")}), is_plain({"a": {1}})
    (True, False, False)
    """
    return type(mapping) is dict and _room_after(cast("_Container", mapping), MAX_TEXT, 0) >= 0


def _room_after(container: _Container, room: int, depth: int) -> int:
    """Return what is left of `room` after a container; negative if it is not plain."""
    if depth >= MAX_DEPTH:
        return _TOO_MUCH
    values: Any = container
    value: object
    if type(container) is dict:
        room = _room_after_keys(container, room)
        values = container.values()
    for value in values:
        room -= _VALUE
        if type(value) is str:
            room -= len(value)
        elif type(value) in _CONTAINERS:
            room = _room_after(cast("_Container", value), room, depth + 1)
        elif type(value) is float:
            room = room if isfinite(value) else _TOO_MUCH
        elif type(value) not in _SCALARS:
            return _TOO_MUCH
        if room < 0:
            return _TOO_MUCH
    return room


def _room_after_keys(mapping: dict[object, object], room: int) -> int:
    for key in mapping:
        if type(key) is not str:
            return _TOO_MUCH
        room -= len(key) + _KEY
    return room
