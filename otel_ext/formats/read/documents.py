"""Splits lines into the JSON objects in them: one in each line, over several lines, in arrays."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, cast

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_ext.formats.read.pieces import Fields

__all__ = ["documents"]

_MOST_BYTES: Final = 1 << 30
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# What is between the objects of an array, and around it.
_BETWEEN: Final = re.compile(r"[\s,\[\]]*")
# Where the next document may begin after one that is damaged.
_FIRST_COLUMN: Final = re.compile(r"\n(?=[{\[])")
# A document of several lines ends with a bracket alone in the first column.
_LAST_LINES: Final = frozenset((b"}", b"]", b"},", b"}]", b"],"))
_DECODER: Final = json.JSONDecoder()


def documents(lines: Iterable[bytes]) -> Iterator[tuple[int, Fields | str]]:
    r"""Yield each JSON object with the number of its first line, or why it is not one.

    The objects of an array are documents of their own. Only one that is spread over several
    lines is held until its end.

    >>> list(documents([b'[{"a":1},\n', b' {"b":2}]\n', b"{\n", b'"c":3\n', b"}\n"]))
    [(1, {'a': 1}), (2, {'b': 2}), (3, {'c': 3})]
    """
    waiting: list[bytes] = []
    first = size = 0
    for number, text in enumerate(lines, 1):
        line = text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text
        whole = _whole(line, in_document=bool(waiting))
        if whole is not None:
            if waiting:  # a torn line, or something else
                yield from _several(first, waiting)
                waiting = []
            for one in whole:
                yield number, _object(one)
            continue
        if not waiting:
            begins_with = line.strip().lstrip(b"[], \t")[:1]
            if not begins_with:
                continue
            if begins_with != b"{":
                yield number, "not JSON"
                continue
            first, size = number, 0
        waiting.append(line)
        size += len(line)
        if line.rstrip() in _LAST_LINES or size > _MOST_BYTES:
            yield from _several(first, waiting)
            waiting = []
    yield from _several(first, waiting)


def _whole(line: bytes, *, in_document: bool) -> list[object] | None:
    """Return the values in a line that is JSON by itself; None for any other line.

    Args:
        line: The line.
        in_document: Whether lines before it wait for the end of their document, of which a
            line that does not begin in the first column may be a part.
    """
    text = line.strip().removesuffix(b",").rstrip()
    if text[:1] not in {b"{", b"["} or text[-1:] not in {b"}", b"]"}:
        return None
    if in_document and not line.startswith(b"{"):
        return None
    try:
        loaded: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            loaded = json.loads(text)  # may have NaN, and halves of surrogate pairs
        except (ValueError, RecursionError):
            return None
    return cast("list[object]", loaded) if isinstance(loaded, list) else [loaded]


def _several(first: int, lines: list[bytes]) -> Iterator[tuple[int, Fields | str]]:
    """Yield the documents in lines of which none is a whole document.

    Args:
        first: The number of the first line.
        lines: The lines.
    """
    text = b"".join(lines).decode("utf-8", "replace")
    number, counted, at = first, 0, 0
    while True:
        found = _BETWEEN.match(text, at)
        at = found.end() if found is not None else at
        if at == len(text):
            return
        number += text.count("\n", counted, at)
        counted = at
        try:
            loaded, at = cast("tuple[object, int]", _DECODER.raw_decode(text, at))
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            yield number, f"not JSON: {reason}"[:200]
            following = _FIRST_COLUMN.search(text, at)
            if following is None:
                return
            at = following.end()
        else:
            yield number, _object(loaded)


def _object(loaded: object) -> Fields | str:
    if isinstance(loaded, dict):
        return cast("Fields", loaded)
    return f"a document is an object, not {type(loaded).__name__}"
