"""Walks a user's data, turns it into plain data, and lets a judge remove secrets on the way.

The user's objects are only read. However they are nested, shared or circular, the work
for one record is bounded: each step is paid from one `Budget`, and what exceeds it is
replaced by a note. docs/record-format.md, "Awkward values", lists what becomes of each
kind of value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from itertools import islice, repeat
from math import isfinite
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import orjson

from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.budget import (
    CIRCULAR,
    MAX_ITEMS,
    TOO_DEEP,
    TOO_MUCH,
    Budget,
    left_out,
    size_of,
    unique,
)
from otel_ext.record.sanitise.judge import ALLOWED, VALUES
from otel_ext.record.sanitise.kinds import fields_of, is_container, is_harmless, number_of
from otel_ext.record.sanitise.scalars import (
    INT_MAX,
    INT_MIN,
    MAX_TEXT,
    clean_text,
    plain_bytes,
    plain_scalar,
    text_of,
    unprintable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.record.sanitise.judge import Judge

__all__ = ["MAX_DEPTH", "Walker"]

MAX_DEPTH: Final = 64
_SCALARS: Final[frozenset[type]] = frozenset({str, int, float, bool, type(None)})
_CONTAINERS: Final[frozenset[type]] = frozenset({dict, list, tuple})
_NUMBERS: Final[frozenset[type]] = frozenset({float, bool, type(None)})
_PAIR: Final = 2
_MAX_PATH: Final = 1_024
# What containers, and values of other kinds, cost; a plain number costs 1.
_CONTAINER: Final = 5
_OTHER: Final = 40

_Items: TypeAlias = "Iterable[tuple[object, object]]"


class Walker:
    """Turns values into plain data, paid from one budget.

    Args:
        budget: Pays for each value and for all that is nested in it.
        judge: Removes secrets; None keeps them.

    Attributes:
        was_cut: Whether something was left out, because the budget was spent, since this
            was last set to False.

    >>> Walker(Budget(100)).value({1: (2.5, float("nan")), "1": b"x"})
    {'1': [2.5, 'NaN'], '1 (2)': b'x'}
    """

    __slots__ = ("_budget", "_judge", "_open", "was_cut")

    def __init__(self, budget: Budget, judge: Judge | None = None) -> None:
        self._budget = budget
        self._judge = judge
        # The containers around the current one, by identity.
        self._open: set[int] = set()
        self.was_cut = False

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
            self.was_cut = False
            name, kept = self._entry("", key, value, 1)
            if name == META_KEY:
                name = shield()
            if name in cleaned:
                name = unique(name, cleaned, taken)
            cleaned[name] = kept
            if self.was_cut:
                cut.add(name)
        return cleaned, cut, 0

    def text(self, path: str, text: object) -> str:
        """Return a text that is not under a key of the user's, as plain data."""
        found = self.value(text if type(text) is str else text_of(text), path)
        return found if isinstance(found, str) else text_of(found)

    def value(  # noqa: PLR0911 - in a hot loop
        self, value: object, path: str = "", depth: int = 1
    ) -> object:
        """Return `value` as plain data; never raises.

        Args:
            value: Anything.
            path: The keys that lead to the value, with dots between; for the judge.
            depth: How deep it is nested.
        """
        if self._judge is not None:
            return self._judged(value, path, depth)
        budget = self._budget
        budget.left -= 1
        # The usual kinds first, without a call.
        if type(value) is str:
            budget.left -= len(value) >> 5
            return value if value.isascii() and len(value) <= MAX_TEXT else clean_text(value)
        if type(value) is int and INT_MIN <= value <= INT_MAX:
            return value
        if value is None or type(value) is bool or (type(value) is float and isfinite(value)):
            return value
        try:
            if type(value) in _CONTAINERS:
                return self._container(value, path, depth)
            return self._unusual(value, depth)
        except Exception:  # noqa: BLE001 - includes RecursionError and what users' types raise
            return unprintable(value)

    def _judged(  # noqa: PLR0911 - one for each kind of value
        self, value: object, path: str, depth: int
    ) -> object:
        """Return `value` as plain data, after the judge."""
        try:
            if type(value) in _SCALARS:
                return self._after_judge(path, value)
            if type(value) in _CONTAINERS:
                return self._container(value, path, depth)
            if isinstance(value, str):
                return self._after_judge(path, str.__str__(value))
            if isinstance(value, (bytes, bytearray, memoryview)):
                return self._bytes(path, bytes(cast("bytes", value)))
            if is_harmless(type(value)):
                plain = self._without_judge().value(value)
                judge = cast("Judge", self._judge)
                return plain if judge.harmless_below is not None else self._after_judge(path, plain)
            # Made plain once, so that the record holds the very text that was checked.
            return self.value(self._copied(value), path, depth)
        except Exception:  # noqa: BLE001 - as above
            return unprintable(value)  # pyright: ignore[reportUnknownArgumentType]

    def _after_judge(self, path: str, value: object) -> object:
        judge = cast("Judge", self._judge)
        try:
            found = judge.scalar(path, value, self._budget)
        except Exception as error:  # noqa: BLE001 - a callback may raise anything
            return judge.failed(error)
        # The answer of a callback may be a container, which is plain already.
        return plain_scalar(cast("str", found)) if type(found) in _SCALARS else found

    def _bytes(self, path: str, value: bytes) -> object:
        self._budget.left -= len(value) >> 6
        text = value.decode("latin-1")
        found = self._after_judge(path, text)
        return found if found != plain_scalar(text) else self._without_judge().value(value)

    def _without_judge(self) -> Walker:
        walker = Walker(self._budget)
        walker._open = self._open
        return walker

    def _copied(self, value: object) -> object:
        """Return any value as plain data, as far as the budget allows; not judged yet."""
        budget = self._budget
        if not budget.has_share_left():
            return TOO_MUCH
        # The result is walked too, which costs more.
        share = Budget((budget.left - budget.floor) >> 2)
        budget.left -= share.left
        plain = Walker(share).value(value)
        budget.left += max(share.left, 0)
        return plain

    def _entry(
        self, path: str, key: object, value: object, depth: int, value_rule: str = ""
    ) -> tuple[str, object]:
        """Return a key as text, and its value as plain data; never raises."""
        text = key if type(key) is str else text_of(key)
        judge, budget = self._judge, self._budget
        if judge is None:
            budget.left -= 1 + (len(text) >> 5)
            name = text if text.isascii() and len(text) <= MAX_TEXT else clean_text(text)
            return name, self.value(value, path, depth)
        path = f"{path}.{text}"[-_MAX_PATH:] if path else text
        try:
            name, rule = judge.key(path, text, budget)
        except Exception as error:  # noqa: BLE001 - as above
            return judge.failed(error), judge.failed(error)
        if not name.isascii() or len(name) > MAX_TEXT:
            name = clean_text(name)
        if rule == ALLOWED:
            return name, self._without_judge().value(value, "", depth)
        if rule:
            return name, self._secret(rule, path, value)
        found = self.value(value, path, depth)
        if value_rule and (not isinstance(value, str) or found == value):
            found = self._secret(value_rule, path, value)
        return name, found

    def _secret(self, rule: str, path: str, value: object) -> object:
        judge = cast("Judge", self._judge)
        try:
            found = judge.under_key(rule, path, value, self._budget)
        except Exception as error:  # noqa: BLE001 - as above
            return judge.failed(error)
        return plain_scalar(cast("str", found))

    def _unusual(self, value: object, depth: int) -> object:
        if isinstance(value, (str, int, float)):
            return self._scalar(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            data = cast("bytes", value)
            self._budget.left -= min(len(data), MAX_TEXT) >> 4
            return plain_bytes(data)
        if is_container(value):
            return self._container(value, "", depth)
        if isinstance(value, Enum) and is_container(value.value):
            return self._container(value.value, "", depth)
        self._budget.left -= _OTHER
        number = number_of(value)
        try:
            # Dates, UUIDs, most enumerations: as the encoder writes them.
            plain = orjson.loads(orjson.dumps(value)) if number is None else number
            return self.value(plain, "", depth)
        except (TypeError, ValueError):
            return self._scalar(text_of(value))

    def _scalar(self, value: str | float) -> object:
        """Return a text, number or bool of any class."""
        if isinstance(value, str):
            value = str.__str__(value)  # the length too may be a class's own
            self._budget.left -= len(value) >> 5
        return plain_scalar(value)

    def _container(self, value: object, path: str, depth: int) -> object:
        kind: object = type(value)
        if kind is list or kind is tuple:
            numbers = self._numbers(cast("list[object]", value))
            if numbers is not None:
                return numbers
        refused = self._refuse(value, depth)
        if refused:
            return refused
        key = id(value)
        self._open.add(key)
        try:
            if kind is dict or isinstance(value, Mapping):
                mapping = cast("Mapping[object, object]", value)
                return self._mapping(mapping, size_of(mapping), path, depth)
            if kind in _CONTAINERS or isinstance(value, (Sequence, AbstractSet)):
                items = cast("Sequence[object]", value)
                return self._list(items, size_of(items), path, depth)
            # A dataclass. Not left to the encoder: it writes NaN as null, and an unset
            # slot makes it crash the process.
            fields = cast("dict[object, object]", fields_of(value))
            return self._mapping(fields, len(fields), path, depth)
        finally:
            self._open.discard(key)

    def _numbers(self, items: list[object]) -> list[object] | None:
        """Return a copy of a list of numbers that need no change, as in an embedding; else None."""
        budget = self._budget
        cost = len(items) >> 3
        limit = INT_MAX if self._judge is None else self._judge.harmless_below
        if len(items) > MAX_ITEMS or cost > max(budget.left - budget.floor, 0) or limit is None:
            return None
        budget.left -= cost
        kinds = set(map(type, items))
        numbers = cast("list[float]", items)
        if kinds <= _NUMBERS:
            is_plain = all(map(isfinite, filter(None, numbers)))
        else:
            is_plain = kinds == {int} and min(numbers) >= INT_MIN and max(numbers) < limit
        return list(items) if is_plain else None

    def _refuse(self, value: object, depth: int) -> str:
        """Return the text that replaces a container; empty if it is to be walked."""
        if id(value) in self._open:
            return CIRCULAR
        if depth >= MAX_DEPTH:
            return TOO_DEEP
        if self._budget.left <= self._budget.floor:
            self.was_cut = True
            return TOO_MUCH
        self._budget.left -= _CONTAINER if type(value) in _CONTAINERS else _OTHER
        return ""

    def _list(
        self, items: Iterable[object], size: int | None, path: str, depth: int
    ) -> list[object]:
        budget, judge = self._budget, self._judge
        # If not all fit, the note takes one item's room.
        most = MAX_ITEMS if size is not None and size <= MAX_ITEMS else MAX_ITEMS - 1
        cleaned: list[object] = []
        pairs = zip(items, repeat("")) if judge is None else judge.rules_of_items(items)
        # Without a judge the last item is always taken: a note would cost as much, and an
        # earlier note is not cut again.
        for item, rule in islice(pairs, most):
            if budget.left <= budget.floor and (judge is not None or len(cleaned) + 1 != size):
                self.was_cut = True
                break
            cleaned.append(
                self._marked_item(rule, path, item) if rule else self.value(item, path, depth + 1)
            )
        else:
            if len(cleaned) < most or size == most:
                return cleaned
        last = cast("list[object]", items)[-1] if isinstance(items, (list, tuple)) else None
        cleaned.append(left_out(size, len(cleaned), "items", last))
        return cleaned

    def _marked_item(self, rule: str, path: str, item: object) -> object:
        """Return an item that its list marks as a secret, or as a name with its secret."""
        pair = cast("list[object]", item)
        kind: object = type(item)
        if (kind is not list and kind is not tuple) or len(pair) != _PAIR:
            return self._secret(rule, path, item)
        name, secret = pair
        return [self.value(name, path), self._secret(rule, path, secret)]

    def _mapping(
        self, mapping: Mapping[object, object], size: int | None, path: str, depth: int
    ) -> dict[str, object]:
        budget, judge = self._budget, self._judge
        most = MAX_ITEMS if size is not None and size <= MAX_ITEMS else MAX_ITEMS - 1
        cleaned: dict[str, object] = {}
        taken: dict[str, int] = {}
        by_name = "" if judge is None else judge.rule_of_fields(cast("dict[str, object]", mapping))
        for key, item in islice(mapping.items(), most):
            if budget.left <= budget.floor and (judge is not None or len(cleaned) + 1 != size):
                self.was_cut = True
                break
            rule = by_name if by_name and key in VALUES else ""
            name, kept = self._entry(path, key, item, depth + 1, rule)
            if name in cleaned:
                name = unique(name, cleaned, taken)
            cleaned[name] = kept
        else:
            if len(cleaned) < most or size == most:
                return cleaned
        last = mapping.get("…") if isinstance(mapping, dict) else None
        cleaned[unique("…", cleaned, taken)] = left_out(size, len(cleaned), "items", last)
        return cleaned
