"""Turns any value into plain data that every encoder accepts and every reader understands.

The user's objects are only read. However they are nested, shared or circular, the work
for one record is bounded: each step is paid from one `Budget`, and what exceeds it is
replaced by a note. docs/record-format.md, "Awkward values", lists what becomes of each
kind of value.
"""

from __future__ import annotations

import base64
import math
import numbers
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from itertools import islice
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import orjson

from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.budget import (
    CIRCULAR,
    MAX_ITEMS,
    TOO_DEEP,
    TOO_MUCH,
    left_out,
    size_of,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.record.sanitise.budget import Budget

__all__ = ["MAX_DEPTH", "MAX_TEXT", "Cleaner", "text_of"]

MAX_DEPTH: Final = 64
MAX_TEXT: Final = 65_536

_NOTE_ROOM: Final = 40
# The bytes whose base64 is as long as a text may be.
_BYTES_KEPT: Final = (MAX_TEXT - _NOTE_ROOM) // 4 * 3
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1
# The kinds of a numpy array's items: bool, signed and unsigned integer, float.
_NUMERIC_KINDS: Final = frozenset("biuf")
_USUAL: Final[frozenset[type]] = frozenset({dict, list, tuple})
# What containers, and values of other kinds, cost; a plain number costs 1.
_CONTAINER: Final = 5
_OTHER: Final = 40

_Items: TypeAlias = "Iterable[tuple[object, object]]"


class Cleaner:
    """Turns values into plain data, paid from one budget.

    Args:
        budget: Pays for each value and for all that is nested in it.

    Attributes:
        was_cut: Whether something was left out, because the budget was spent, since this
            was last set to False.

    >>> from otel_ext.record.sanitise.budget import Budget
    >>> Cleaner(Budget(100)).value({1: (2.5, float("nan")), "1": b"x"})
    {'1': [2.5, 'NaN'], '1 (2)': 'eA=='}
    """

    __slots__ = ("_budget", "_open", "was_cut")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        # The containers around the current one, by identity.
        self._open: set[int] = set()
        self.was_cut = False

    def value(self, value: object, depth: int = 1) -> object:  # noqa: PLR0911 - in a hot loop
        """Return `value` as plain data; never raises.

        Args:
            value: Anything.
            depth: How deep it is nested.
        """
        budget = self._budget
        budget.left -= 1
        # The usual kinds first, without a call.
        if type(value) is str:
            budget.left -= len(value) >> 5
            return value if value.isascii() and len(value) <= MAX_TEXT else _clean_text(value)
        if type(value) is int:
            if _INT_MIN <= value <= _INT_MAX:
                return value
        elif type(value) is float:
            if math.isfinite(value):
                return value
        elif value is None or type(value) is bool:
            return value
        try:
            if type(value) in _USUAL:
                return self._container(value, depth)
            return self._unusual(value, depth)
        except Exception:  # noqa: BLE001 - includes RecursionError and what users' types raise
            return _unprintable(value)

    def key(self, key: object) -> str:
        """Return a key as text; never raises."""
        text = key if type(key) is str else text_of(key)
        self._budget.left -= 1 + (len(text) >> 5)
        return text if text.isascii() and len(text) <= MAX_TEXT else _clean_text(text)

    def fields(
        self, items: _Items, size: int | None, shield: Callable[[], str]
    ) -> tuple[dict[str, object], set[str], int | None]:
        """Return the user's data of one record; a large value leaves a share for the others.

        Args:
            items: Keys and values.
            size: How many there are; None if unknown.
            shield: Returns the replacement for the user's own `__tracer_meta__` key.

        Returns:
            The plain data, the keys whose values were cut because the budget was spent,
            and how many keys were left out for the same reason, None if unknown.
        """
        budget = self._budget
        cleaned: dict[str, object] = {}
        cut: set[str] = set()
        taken: dict[str, int] = {}
        for key, value in items:
            if not budget.next_share() and len(cleaned) + 1 != size:
                return cleaned, cut, None if size is None else max(size - len(cleaned), 1)
            name = self.key(key)
            if name == META_KEY:
                name = shield()
            if name in cleaned:
                name = unique(name, cleaned, taken)
            self.was_cut = False
            cleaned[name] = self.value(value)
            if self.was_cut:
                cut.add(name)
        return cleaned, cut, 0

    def _unusual(self, value: object, depth: int) -> object:
        if isinstance(value, (str, int, float)):
            return self._scalar(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(cast("bytes", value))
        if _is_container(value):
            return self._container(value, depth)
        if isinstance(value, Enum) and _is_container(value.value):
            return self._container(value.value, depth)
        self._budget.left -= _OTHER
        number = _number_of(value)
        try:
            # Dates, UUIDs, most enumerations: as the encoder writes them.
            plain = orjson.loads(orjson.dumps(value)) if number is None else number
            return self.value(plain, depth)
        except (TypeError, ValueError):
            return self._text(text_of(value))

    def _text(self, text: str) -> str:
        self._budget.left -= len(text) >> 5
        return _clean_text(text)

    def _scalar(self, value: str | float) -> object:
        """Return a text or number of any subclass."""
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, int):
            number = int(value)
            return number if _INT_MIN <= number <= _INT_MAX else self._text(_digits(number))
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")

    def _bytes(self, value: bytes | bytearray | memoryview) -> str:
        """Return base64 text; only the part that is kept gets encoded."""
        data = value
        if isinstance(data, memoryview):
            data = data.cast("B") if data.c_contiguous and data.nbytes else data.tobytes()
        size = (len(data) + 2) // 3 * 4
        if size > MAX_TEXT:
            data = data[:_BYTES_KEPT]
        self._budget.left -= len(data) >> 4
        return _clean_text(base64.b64encode(data).decode(), size)

    def _container(self, value: object, depth: int) -> object:
        refused = self._refuse(value, depth)
        if refused:
            return refused
        key = id(value)
        self._open.add(key)
        try:
            if type(value) is dict or isinstance(value, Mapping):
                mapping = cast("Mapping[object, object]", value)
                return self._mapping(mapping.items(), size_of(mapping), depth)
            if type(value) in _USUAL or isinstance(value, (Sequence, AbstractSet)):
                items = cast("Sequence[object]", value)
                return self._list(items, size_of(items), depth)
            # A dataclass. Not left to the encoder: it writes NaN as null, and an unset
            # slot makes it crash the process.
            fields = _fields_of(value)
            return self._mapping(fields.items(), len(fields), depth)
        finally:
            self._open.discard(key)

    def _refuse(self, value: object, depth: int) -> str:
        """Return the text that replaces a container; empty if it is to be walked."""
        if id(value) in self._open:
            return CIRCULAR
        if depth >= MAX_DEPTH:
            return TOO_DEEP
        if self._budget.left <= self._budget.floor:
            self.was_cut = True
            return TOO_MUCH
        self._budget.left -= _CONTAINER if type(value) in _USUAL else _OTHER
        return ""

    def _list(self, items: Iterable[object], size: int | None, depth: int) -> list[object]:
        budget = self._budget
        # If not all fit, the note takes one item's room.
        most = MAX_ITEMS if size is not None and size <= MAX_ITEMS else MAX_ITEMS - 1
        cleaned: list[object] = []
        for item in islice(items, most):
            # The last item is always taken: a note would cost as much, and an earlier note
            # is not cut again.
            if budget.left <= budget.floor and len(cleaned) + 1 != size:
                self.was_cut = True
                break
            cleaned.append(self.value(item, depth + 1))
        else:
            if len(cleaned) < most or size == most:
                return cleaned
        cleaned.append(left_out(size, len(cleaned), "items"))
        return cleaned

    def _mapping(self, items: _Items, size: int | None, depth: int) -> dict[str, object]:
        budget = self._budget
        most = MAX_ITEMS if size is not None and size <= MAX_ITEMS else MAX_ITEMS - 1
        cleaned: dict[str, object] = {}
        taken: dict[str, int] = {}
        for key, item in islice(items, most):
            if budget.left <= budget.floor and len(cleaned) + 1 != size:
                self.was_cut = True
                break
            name = self.key(key)
            if name in cleaned:
                name = unique(name, cleaned, taken)
            cleaned[name] = self.value(item, depth + 1)
        else:
            if len(cleaned) < most or size == most:
                return cleaned
        cleaned[unique("…", cleaned, taken)] = left_out(size, len(cleaned), "items")
        return cleaned


def _is_container(value: object) -> bool:
    """Whether `value` holds other values."""
    if isinstance(value, (Mapping, Sequence, AbstractSet)):
        return not isinstance(value, (str, bytes, bytearray, memoryview))
    return hasattr(type(value), "__dataclass_fields__")


def _number_of(value: object) -> float | None:
    """Return another library's number (numpy's, torch's, a fraction) as Python's, or None.

    No library is imported: such a number belongs to the abstract classes of `numbers`, or
    has no dimension and an `item()`. A Decimal is neither, and its text keeps its digits.
    """
    if not isinstance(value, numbers.Real) and not hasattr(type(value), "item"):
        return None
    try:
        if getattr(getattr(value, "dtype", None), "kind", "f") not in _NUMERIC_KINDS:
            return None  # numpy's time spans are integers by their class
        if getattr(value, "ndim", None) == 0:
            plain = cast("Callable[[], object]", getattr(value, "item"))()  # noqa: B009 - of any type
            if isinstance(plain, (bool, int, float)):
                return plain
        if isinstance(value, numbers.Integral):
            return int(value)
        return float(value) if isinstance(value, numbers.Real) else None
    except Exception:  # noqa: BLE001 - too large for a float, or a type of the user's own
        return None


def _fields_of(value: object) -> dict[str, object]:
    """Return the fields of a dataclass that are set, without those that begin with `_`."""
    found: dict[str, object] = dict(getattr(value, "__dict__", {}))
    kind = type(value)
    for name in cast("Mapping[str, object]", getattr(kind, "__dataclass_fields__", {})):
        if isinstance(getattr(kind, name, None), MemberDescriptorType) and hasattr(value, name):
            found[name] = getattr(value, name)
    return {key: item for key, item in found.items() if not str(key).startswith("_")}


def text_of(value: object) -> str:
    """Return the text of any value; never raises.

    >>> text_of(None)
    'None'
    """
    try:
        return str.__str__(value if isinstance(value, str) else str(value))
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything
        return _unprintable(value)


def _unprintable(value: object) -> str:
    return f"<unprintable: {type(value).__name__}>"


def _clean_text(text: str, size: int | None = None) -> str:
    """Return `text` in a form that UTF-8 can encode, cut if it, or `size`, exceeds the limit."""
    size = len(text) if size is None else size
    note = ""
    if size > MAX_TEXT:
        # The cut text with its note is within the limit, so cleaning is idempotent.
        kept = MAX_TEXT - _NOTE_ROOM
        text, note = text[:kept], f"…[+{size - kept} characters]"
    if not text.isascii():
        # UTF-8 cannot encode a lone surrogate; each becomes one replacement character.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return f"{text}{note}"


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # beyond sys.get_int_max_str_digits()
        return hex(number)
