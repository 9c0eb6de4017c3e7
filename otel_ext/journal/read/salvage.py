"""Finds whole records in damaged bytes, in time proportional to their length."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import orjson

from otel_ext.record.model import META_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["RECORD_START", "Salvaged", "metadata_of", "parse_json", "salvage"]

# A line may begin here inside damage: our metadata comes first, or after the timestamp of
# compat mode.
RECORD_START: Final = re.compile(rb'\{(?:"timestamp":"[^"]{0,40}",)?"__tracer_meta__":\{')
_MAX_ENDS_TRIED: Final = 8
# How many times the length of a damaged line may be searched for records that contain the
# beginning of another; each search tries several ends.
_BUDGET_FACTOR: Final = 4


class Salvaged(NamedTuple):
    """A whole record found in damaged bytes: its offsets and its metadata."""

    start: int
    end: int
    meta: Mapping[str, object]


def parse_json(data: bytes) -> object:
    """Return the value of the JSON in `data`; None if it is not valid JSON."""
    try:
        return orjson.loads(data)
    # In an application that starts Python again, orjson raises an error class of the first
    # interpreter, whose module is empty, which ends in a NameError.
    except (orjson.JSONDecodeError, NameError):
        return None


def metadata_of(loaded: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return the metadata of a decoded line; None if it is not a record."""
    meta = loaded.get(META_KEY)
    if not isinstance(meta, dict):
        return None
    fields = cast("dict[str, object]", meta)
    process, seq = fields.get("process"), fields.get("seq")
    is_record = (
        isinstance(process, str) and type(seq) is int and isinstance(fields.get("kind"), str)
    )
    return fields if is_record else None


def salvage(data: bytes) -> Iterator[Salvaged]:
    """Yield the whole records in damaged bytes.

    >>> record = b'{"__tracer_meta__":{"process":"p","seq":1,"kind":"log"}}'
    >>> [(found.start, found.end) for found in salvage(b'torn{"' + record + b"}")]
    [(6, 62)]
    """
    done = 0
    budget = len(data) * _BUDGET_FACTOR
    for match in RECORD_START.finditer(data):
        start = match.start()
        if start < done:
            continue
        # The search up to the next beginning is short; a value may contain one, too.
        following = RECORD_START.search(data, start + 1)
        found = _record_in(data, start, len(data) if following is None else following.start())
        if found is None and following is not None and budget >= len(data) - start:
            # Without the budget, beginnings of records only cost the square of their length.
            budget -= len(data) - start
            found = _record_in(data, start, len(data))
        if found is not None:
            done = found.end
            yield found


def _record_in(data: bytes, start: int, limit: int) -> Salvaged | None:
    """Return the whole record that begins at `start` and ends before `limit`."""
    # Where damage follows the record, it ends at one of the closing brackets before that.
    end = data.find(b"\0", start, limit)
    end = limit if end < 0 else end
    for _ in range(_MAX_ENDS_TRIED):
        end = data.rfind(b"}", start, end) + 1
        if end <= start:
            break
        loaded = parse_json(data[start:end])
        if isinstance(loaded, dict):
            meta = metadata_of(cast("dict[str, object]", loaded))
            return None if meta is None else Salvaged(start, end, meta)
        end -= 1
    return None
