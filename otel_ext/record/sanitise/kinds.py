"""Recognizes kinds of values beyond Python's plain ones, without importing their libraries."""

from __future__ import annotations

import datetime as dt
import numbers
import sys
import uuid
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fields_of", "is_container", "is_harmless", "number_of"]

_HARMLESS: Final[frozenset[type]] = frozenset({dt.datetime, dt.date, dt.time, uuid.UUID})
# The kinds of a numpy array's items: bool, signed and unsigned integer, float.
_NUMERIC_KINDS: Final = frozenset("biuf")


def number_of(value: object) -> float | None:
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


def is_harmless(kind: type) -> bool:
    """Whether no rule for secrets applies to values of a type: dates, UUIDs, decimals."""
    if kind in _HARMLESS:
        return True
    # Not imported for this: if the program did not import it, there is no such value.
    decimal = sys.modules.get("decimal")
    return decimal is not None and kind is getattr(decimal, "Decimal", None)


def is_container(value: object) -> bool:
    """Return whether `value` holds other values."""
    if isinstance(value, (Mapping, Sequence, AbstractSet)):
        return not isinstance(value, (str, bytes, bytearray, memoryview))
    return hasattr(type(value), "__dataclass_fields__")


def fields_of(value: object) -> dict[str, object]:
    """Return the fields of a dataclass that are set, without those that begin with `_`."""
    found: dict[str, object] = dict(getattr(value, "__dict__", {}))
    kind = type(value)
    for name in cast("Mapping[str, object]", getattr(kind, "__dataclass_fields__", {})):
        if isinstance(getattr(kind, name, None), MemberDescriptorType) and hasattr(value, name):
            found[name] = getattr(value, name)
    return {key: item for key, item in found.items() if not str(key).startswith("_")}
