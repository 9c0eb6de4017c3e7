"""A quick look that most data passes: whether the encoder may have it as it is."""

from __future__ import annotations

import datetime as dt
import uuid
from math import isfinite
from typing import Any, Final, TypeAlias, cast

from otel_ext.record.sanitise.cleaning import MAX_DEPTH, MAX_TEXT

__all__ = ["is_plain"]

_Container: TypeAlias = "dict[object, object] | list[object] | tuple[object, ...]"

_CONTAINERS: Final[frozenset[type]] = frozenset({dict, list, tuple})
# What the encoder writes as this package does, wherever it stands. Integers that are
# too long for it are refused by the encoder itself.
_LEAVES: Final[frozenset[type]] = frozenset(
    {int, bool, type(None), dt.datetime, dt.date, dt.time, uuid.UUID}
)
# The least that a key, and a value, adds to the line.
_KEY: Final = 3
_VALUE: Final = 2
_TOO_MUCH: Final = -1


def is_plain(mapping: object) -> bool:
    """Whether the encoder writes `mapping` as this package does, in little time.

    The encoder itself sets no limit to what it writes: of data that is shared, each
    level twice in the next, it writes more than any memory holds.

    Args:
        mapping: The user's data. Only exact types of Python's own are plain.

    >>> is_plain({"a": [1, {"b": None}]}), is_plain({"a": float("nan")}), is_plain({"a": {1}})
    (True, False, False)
    """
    return type(mapping) is dict and _room_behind(cast("_Container", mapping), MAX_TEXT, 0) >= 0


def _room_behind(container: _Container, room: int, depth: int) -> int:
    """Return what is left of `room` behind a container; negative if it is not plain."""
    if depth >= MAX_DEPTH:
        return _TOO_MUCH
    values: Any = container
    value: object
    if type(container) is dict:
        room = _room_behind_keys(container, room)
        values = container.values()
    for value in values:
        room -= _VALUE
        if type(value) is str:
            room -= len(value)
        elif type(value) in _CONTAINERS:
            room = _room_behind(cast("_Container", value), room, depth + 1)
        elif type(value) is float:
            room = room if isfinite(value) else _TOO_MUCH
        elif type(value) not in _LEAVES:
            return _TOO_MUCH
        if room < 0:
            return _TOO_MUCH
    return room


def _room_behind_keys(mapping: dict[object, object], room: int) -> int:
    for key in mapping:
        if type(key) is not str:
            return _TOO_MUCH
        room -= len(key) + _KEY
    return room
