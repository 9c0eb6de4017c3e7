"""Makes the arguments of an event plain, so that sums and keys run no code of the program."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.record.sanitise.budget import Budget
from otel_ext.record.sanitise.kinds import is_harmless, number_of
from otel_ext.record.sanitise.walk import Walker
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.events.aggregates import Values

__all__ = [
    "KEY_TYPES",
    "LARGEST",
    "MOST_TEXT",
    "SCALARS",
    "Cleaned",
    "clean_values",
    "finite_number",
    "is_plain",
    "plain_key",
    "plain_metadata",
]

KEY_TYPES: Final = frozenset({int, type(None)})
"""Types whose values are keys as they are; `1` and `True` would be the same key."""

LARGEST: Final = 2**63 - 1
"""The largest whole number that is summed up as such; larger ones as floating-point numbers."""

SCALARS: Final = frozenset({str, int, float, bool, bytes, type(None)})
"""The types of facts that are plain as they are."""
# Time zones that are not the program's own code.
_ZONES: Final = frozenset({"builtins", "datetime", "zoneinfo"})
MOST_TEXT: Final = 200
"""The longest text that is kept of a key."""
_MOST_FACTS: Final = 64
_MOST_OF_A_FACT: Final = 4_096


class Cleaned(NamedTuple):
    """The measurements of an event that can be summed up, and how many cannot."""

    values: Values
    refused: int


def clean_values(measurements: object) -> Cleaned:
    """Return the finite numbers of any measurements; numbers of other libraries count, too.

    >>> clean_values({"size": 3, "ratio": float("nan"), "name": "a"})
    Cleaned(values=(('size', 3),), refused=2)
    """
    if not isinstance(measurements, Mapping):
        return Cleaned((), 1)
    found: list[tuple[str, float]] = []
    refused = 0
    items = cast("Mapping[object, object]", measurements)
    for name, value in items.items():
        number = finite_number(value)
        if number is None or not isinstance(name, str):
            refused += 1
        else:
            found.append((str.__str__(name)[:MOST_TEXT], number))
    return Cleaned(tuple(found), refused)


def finite_number(value: object) -> float | None:
    """Return any finite number as Python's, also of another library; None for all else.

    >>> finite_number(True), finite_number("3"), finite_number(2**70)
    (1, None, 1.1805916207174113e+21)
    """
    try:
        if isinstance(value, int):
            whole = int(value)
            return whole if -LARGEST <= whole <= LARGEST else float(whole)
        number = float(value) if isinstance(value, float) else number_of(value)
        return number if number is not None and isfinite(number) else None
    except Exception:  # noqa: BLE001 - too large, or a type of the user's own
        return None


def plain_key(name: str, values: Iterable[object]) -> tuple[object, ...]:
    """Return a key of plain values; others count by their type and their short text.

    >>> plain_key("cache.miss", ["pages", 1.5])
    ('cache.miss', 'pages', ('float', '1.5'))
    """
    return (name, *map(_plain_part, values))


def _plain_part(value: object) -> object:
    if type(value) in KEY_TYPES:
        return value
    if isinstance(value, str):
        text = str.__str__(value)
        # Long ones are not kept, but counted apart.
        return text if len(text) <= MOST_TEXT else (text[:MOST_TEXT], len(text), hash(text))
    return type(value).__name__, short_repr(value)


def is_plain(value: object) -> bool:
    """Return whether encoding a value runs no code of the program.

    >>> is_plain(b"a"), is_plain(ValueError)
    (True, False)
    """
    kind = type(value)
    if kind in SCALARS:
        return True
    return is_harmless(kind) and type(getattr(value, "tzinfo", None)).__module__ in _ZONES


def plain_metadata(metadata: Mapping[str, object]) -> dict[str, object]:
    """Return a copy that shares nothing that may change with the program, and is not long.

    It has the first 64 facts, and the first 4,096 characters of each text.

    >>> tags = ["a"]
    >>> kept = plain_metadata({"cache": "pages", "tags": tags})
    >>> tags.append("b")
    >>> kept
    {'cache': 'pages', 'tags': ['a']}
    """
    kept = dict(metadata if len(metadata) <= _MOST_FACTS else islice(metadata.items(), _MOST_FACTS))
    walker: Walker | None = None
    for name, value in kept.items():
        if type(value) is str and len(value) > _MOST_OF_A_FACT:
            kept[name] = value[:_MOST_OF_A_FACT]
        elif not is_plain(value):
            walker = walker or Walker(Budget())
            kept[name] = walker.value(value)
    return kept
