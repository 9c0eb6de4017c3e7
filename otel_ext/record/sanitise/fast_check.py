"""The fast check: is a record safe as it is? Nearly all records are.

The compiled form, `otel_ext/native/sanitise.c`, takes the same steps. What is not surely safe is
walked by the sanitiser.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from otel_ext.record.model import PlainAttributes, SpanEvent
from otel_ext.record.sanitise.scalars import INT_MAX, INT_MIN, MAX_TEXT, utf8_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from otel_ext.record.model import Link, Process

__all__ = ["ITEM_BYTES", "FastCheck", "Known"]

ITEM_BYTES: Final = 80
"""About how many bytes of JSON a link or event has beside its name and attributes."""

# About how many bytes of JSON a value adds beside its text.
_VALUE: Final = 8
# Searching a few texts costs less than walking the whole record: a URL, a statement, a message,
# a stack trace. So many, and so many characters of them, are searched.
_MOST_SEARCHED: Final = 8
_MOST_CHARACTERS: Final = 16_384


class Known(NamedTuple):
    """What the fast check of a sanitiser knows; the compiled form gets the same.

    Attributes:
        processes: By id, each process with its clean form; None without redaction.
        keys: What was found out about keys of the user's data: a program's keys recur.
        clean_key: The finding that a key needs nothing.
        texts: Texts without secrets.
        is_suspicious: Returns what in a text may begin a secret; None without redaction.
        search: Returns whether a search finds no secret in a text.
        shortest: The fewest characters of a secret.
        longest: The most characters of a record's data, and of all its events or links.
        most: The greatest integer that needs nothing.
    """

    processes: dict[str, tuple[Process, Process]] | None
    keys: Mapping[str, object]
    clean_key: object
    texts: Collection[str] = ()
    is_suspicious: Callable[[str], object] | None = None
    search: Callable[[str], bool] | None = None
    shortest: int = 0
    longest: int = MAX_TEXT
    most: int = INT_MAX


class FastCheck:
    """Checks the parts of one record.

    Args:
        known: What the sanitiser knows.
        is_clean_key: Whether a new key of the user's data needs nothing.

    >>> check = FastCheck(Known(None, {"n": True}, clean_key=True), lambda key: False)
    >>> check.are_safe(PlainAttributes(n=1)), check.are_safe(PlainAttributes(n=[1]))
    (True, False)
    """

    __slots__ = ("_characters", "_is_clean_key", "_known", "_searched")

    def __init__(self, known: Known, is_clean_key: Callable[[object], bool]) -> None:
        self._known = known
        self._is_clean_key = is_clean_key
        self._searched = self._characters = 0

    def are_safe(  # noqa: C901, PLR0911 - on the hot path
        self, attributes: Mapping[str, object]
    ) -> bool:
        """Whether attributes are safe as they are; then they are marked so."""
        if type(attributes) is not PlainAttributes:
            return False
        known = self._known
        keys, clean_key, longest, most = known.keys, known.clean_key, known.longest, known.most
        size = 0
        for key, value in cast("dict[str, Any]", attributes).items():
            if type(cast("object", key)) is not str or (
                keys.get(key) is not clean_key and not self._is_clean_key(key)
            ):
                return False
            kind = cast("object", type(value))
            if kind is str:
                found = self.size_of(value)
                size += found
                if found < 0 or size > longest:
                    return False
            elif kind is int:
                if not INT_MIN <= value <= most:
                    return False
            elif kind is float:
                if not isfinite(value):
                    return False
            elif kind is not bool and value is not None:
                return False
            size += len(key) + _VALUE
        if size > longest:
            return False
        attributes.size = size
        return True

    def are_safe_parts(self, parts: tuple[Link, ...] | tuple[SpanEvent, ...]) -> bool:
        """Whether links or events are safe as they are, and small enough together."""
        size = 0
        for part in parts:
            if isinstance(part, SpanEvent):
                name = self.size_of(part.name)
            else:
                name = 0 if part.context is None else self.size_of(part.context.fragment)
            if name < 0 or not self.are_safe(part.attributes):
                return False
            size += name + ITEM_BYTES + cast("PlainAttributes", part.attributes).size
        return size <= self._known.longest

    def size_of(self, text: object) -> int:
        """Return the bytes of a safe text; -1 if it is not surely one."""
        _, _, _, texts, is_suspicious, search, shortest, longest, _ = self._known
        if type(text) is not str or len(text) > longest:
            return -1
        size = utf8_size(text)
        if size < 0 or search is None or is_suspicious is None or len(text) < shortest:
            return size
        if text in texts or is_suspicious(text) is None:
            return size
        self._searched += 1
        self._characters += len(text)
        if self._searched > _MOST_SEARCHED or self._characters > _MOST_CHARACTERS:
            return -1
        return size if search(text) else -1
