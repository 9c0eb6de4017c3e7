"""What of a span or log is put into the index of texts, and how a text is looked for in it.

The index holds the pieces of three characters (trigrams) of the texts of a trace, each line once
for all spans of a batch, folded to one case. Words of one span so are in one place of it.
It names candidates, which are then read and checked: it may find too much, never too little,
except beyond `MOST_INDEXED` characters of one record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "MOST_INDEXED",
    "attribute_match",
    "indexed",
    "log_lines",
    "span_lines",
    "text_match",
]

MOST_INDEXED: Final = 16_384
"""So many characters of a record can be found in lists of traces and of logs."""

_MOST_OF_VALUE: Final = 4_096
# No value in a record of so many bytes is longer than that: Python writes a value of JSON with at
# most four times as many characters, as one that cannot be printed.
_SMALL: Final = 1_024
_PIECE: Final = 3
# Enough to name few candidates, wherever the text is frequent.
_MOST_PIECES: Final = 10
# Of a key only its end is indexed, to tell values of different attributes apart cheaply.
_KEY_END: Final = 2
_END: Final = "\n"


def span_lines(
    name: str, error: str, attributes: Mapping[str, object], size: int = MOST_INDEXED
) -> list[str]:
    """Return the lines of text of a span.

    Args:
        name: Its name.
        error: The text of its error; empty without one.
        attributes: Its attributes.
        size: How many bytes the whole record has, if it is known.

    >>> span_lines("GET /", "", {"user.id": 777, "ok": True})
    ['GET /', '', 'id=777', 'ok=True']
    """
    if size <= _SMALL:
        return [name, error, *[f"{key[-_KEY_END:]}={value}" for key, value in attributes.items()]]
    return [name, error, *_values(attributes)]


def log_lines(text: str, attributes: Mapping[str, object]) -> list[str]:
    """Return the lines of text of a log or an event."""
    return [text, *_values(attributes)]


def indexed(lines: Iterable[str]) -> str:
    r"""Return what is put into the index.

    >>> indexed(["GET /", "id=777"])
    '\nget /\nid=777\n'
    """
    # The index would end at a NUL.
    return f"\n{_END.join(lines)}\n".casefold().replace("\0", " ")


def _values(attributes: Mapping[str, object]) -> Iterator[str]:
    room = MOST_INDEXED
    for key, value in attributes.items():
        text = str(value)[: min(room, _MOST_OF_VALUE)]
        room -= len(text)
        yield f"{key[-_KEY_END:]}={text}"


def text_match(text: str) -> str:
    """Return the expression that finds a text; empty if it is too short to be found.

    >>> text_match("Pays"), text_match("no")
    ('"pay" AND "ays"', '')
    """
    return _match(text.casefold())


def attribute_match(key: str, value: str, *, is_whole: bool) -> str:
    r"""Return the expression that finds an attribute with a value, or that begins with it.

    >>> attribute_match("user.id", "77", is_whole=True)
    '"id=" AND "d=7" AND "=77" AND "77\n"'
    """
    end = "\n" if is_whole and len(value) < _MOST_OF_VALUE else ""
    return _match(f"{key[-_KEY_END:]}={value[:_MOST_OF_VALUE]}{end}".casefold())


def _match(text: str) -> str:
    pieces = {text[at : at + _PIECE]: None for at in range(len(text) - _PIECE + 1)}
    found = [piece for piece in pieces if "\0" not in piece]
    if len(found) > _MOST_PIECES:
        step = (len(found) - 1) / (_MOST_PIECES - 1)
        found = [found[round(number * step)] for number in range(_MOST_PIECES)]
    return " AND ".join('"' + piece.replace('"', '""') + '"' for piece in found)
