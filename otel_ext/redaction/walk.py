"""Walks a user's data, however it is nested, and redacts the secrets in it.

The user's objects are never changed: the containers around something redacted are
copied, and everything else is passed on as it is. However the data is nested, shared or
circular, the work is paid from one budget; what it does not reach is left out.
"""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from typing import TYPE_CHECKING, Final, TypeAlias, cast

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
from otel_ext.record.sanitise.cleaning import MAX_DEPTH, Cleaner, text_of
from otel_ext.record.sanitise.values import encode_value
from otel_ext.redaction.list_rules import VALUES, rule_of_fields, with_rules
from otel_ext.redaction.masks import ERROR_MARK, MARK, MARK_BEGIN
from otel_ext.redaction.scan.cards import LEAST_CARD, MOST_CARD, is_card, is_identifier
from otel_ext.redaction.scan.values import is_secret
from otel_ext.redaction.text import ALLOWED, CLEAN
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.redaction.text import TextRedactor

__all__ = ["NO_SECRETS", "RedactCallback", "Walker"]

RedactCallback: TypeAlias = "Callable[[str, object], object]"
"""Gets the path of a value and the value, returns its replacement."""

NO_SECRETS: Final[frozenset[type]] = frozenset({bool, float, type(None)})
"""Types to whose values no rule applies."""

_SCALARS: Final[frozenset[type]] = frozenset({dt.datetime, dt.date, dt.time, uuid.UUID})
_MAX_PATH: Final = 1_024
# What work costs; checking a plain number costs 1.
_ENTRY: Final = 3
_TEXT: Final = 4
_SUSPICIOUS: Final = 120
_MARK: Final = 60
_CHECKED: Final = 20
_NEW_KEY: Final = 40
_CONTAINER: Final = 5
# Rules that redact any value under their keys.
CERTAIN: Final = frozenset({"custom-key", "personal", "credit-card", "ssn"})


class Walker:
    """Redacts the values of one record; an error drops the value it happened at.

    Args:
        texts: Judges keys and redacts texts.
        callback: A function of the program's own; its answer is redacted too.
        budget: Pays for each value and for all that is nested in it.
        prefix: Precedes each path that the callback gets.
    """

    __slots__ = ("_budget", "_callback", "_marker", "_open", "_prefix", "_texts")

    def __init__(
        self,
        texts: TextRedactor,
        callback: RedactCallback | None = None,
        budget: Budget | None = None,
        prefix: str = "",
    ) -> None:
        self._texts = texts
        self._marker = texts.marker
        self._callback = callback
        self._budget = budget or Budget()
        self._prefix = prefix
        # The containers around the current one, by identity.
        self._open: set[int] = set()

    def mapping(self, values: Mapping[str, object]) -> Mapping[str, object]:
        """Return attributes or the fields of a log without secrets, themselves if without any."""
        changed, is_same = self._entries("", values, 0)
        is_same = is_same and (not values or type(cast("object", values)) is dict)
        return values if is_same else changed

    def text(self, path: str, text: str) -> str:
        """Return a text that is not under a key of the user's, without secrets."""
        try:
            # A record that a program made itself may hold any type.
            found = self._scalar(path, text if type(text) is str else text_of(text))
        except Exception as error:  # noqa: BLE001 - a callback may raise anything
            return self.failed(error)
        return found if isinstance(found, str) else ERROR_MARK

    def failed(self, error: Exception) -> str:
        """Return the replacement for a value that could not be redacted."""
        COUNTERS.add("redacted.error")
        # Without the error's message, which may contain the value.
        report_problem("redaction: a value was left out", f"{type(error).__name__} was raised")
        return ERROR_MARK

    def _failed_name(self, key: object) -> str:
        try:
            return self._texts.redact(key) if type(key) is str else ERROR_MARK
        except Exception:  # noqa: BLE001 - the same error again
            return ERROR_MARK

    def _item(self, parents: str, key: object, value: object, depth: int) -> tuple[str, object]:
        """Return an entry's key and value, redacted."""
        if type(key) is not str:
            key = text_of(key)
        path = f"{parents}.{key}"[-_MAX_PATH:] if parents else key
        self._budget.left -= _ENTRY
        verdict = self._texts.verdicts.get(path)
        if verdict is None:
            self._budget.left -= _NEW_KEY + len(path) + (len(path) ** 2 >> 9)
            verdict = self._texts.verdict(path)
        if verdict is ALLOWED:
            return key, value
        name = key
        if verdict is not CLEAN:
            name = verdict.name if path is key else self._texts.redact(key)
            if name == key:
                name = key
            if verdict.rule:
                return name, self._by_key(verdict.rule, value, path)
        return name, self.value(path, value, depth)

    def value(self, path: str, value: object, depth: int = 1) -> object:
        """Return one value without secrets.

        Args:
            path: The keys that lead to the value, with dots between.
            value: Anything.
            depth: How deep it is nested.
        """
        kind = type(value)
        if kind is dict or kind is list or kind is tuple:
            return self._container(path, value, depth)
        if kind is str or kind is int or kind in NO_SECRETS or _is_other_scalar(kind):
            return self._scalar(path, value)
        if isinstance(value, str):
            return self._scalar(path, str.__str__(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(path, bytes(cast("bytes", value)))
        # Converted once, so that the line holds the very text that was checked.
        return self.value(path, self._plain(value), depth)

    def _plain(self, value: object) -> object:
        """Return any value as plain data, as far as the budget allows."""
        budget = self._budget
        if not budget.has_share_left():
            return TOO_MUCH
        # The result is walked too, which costs more.
        share = Budget((budget.left - budget.floor) >> 2)
        budget.left -= share.left
        plain = Cleaner(share).value(value)
        budget.left += max(share.left, 0)
        return plain

    def _container(  # noqa: PLR0911 - one for each reason to leave it
        self, path: str, value: object, depth: int
    ) -> object:
        """Return a dict, a list or a tuple redacted; itself if it holds no secret."""
        budget = self._budget
        kind = type(value)
        items = None if kind is dict else cast("list[object]", value)
        cost = 0 if items is None else len(items) >> 3
        can_pay = cost <= max(budget.left - budget.floor, 0)
        if items is not None and self._callback is None and can_pay:
            budget.left -= cost
            if _are_harmless(items):
                return value
        if id(value) in self._open:
            return CIRCULAR
        if depth >= MAX_DEPTH:
            return TOO_DEEP
        if not budget.has_share_left():
            return TOO_MUCH
        budget.left -= _CONTAINER
        self._open.add(id(value))
        try:
            if items is None:
                fields = cast("dict[str, object]", value)
                changed, is_same = self._entries(path, fields, depth)
                return value if is_same else changed
            kept, is_same = self._items(path, items, depth)
        finally:
            self._open.discard(id(value))
        if is_same:
            return value
        return tuple(kept) if kind is tuple else kept

    def _entries(
        self, path: str, values: Mapping[str, object], depth: int
    ) -> tuple[dict[str, object], bool]:
        """Return the redacted entries of a mapping, and whether nothing changed."""
        size = size_of(values)
        changed: dict[str, object] = {}
        taken: dict[str, int] = {}
        is_same = True
        may_go_on = self._budget.next_share if depth == 0 else self._budget.has_share_left
        value_rule = rule_of_fields(values, self._texts.rule_in_text) if depth else ""
        for key, item in values.items():
            if (depth and len(changed) == MAX_ITEMS - 1 and size != MAX_ITEMS) or not may_go_on():
                is_same = False
                what, last = ("items", values.get("…")) if depth else ("keys", None)
                changed[unique("…", changed, taken)] = left_out(size, len(changed), what, last)
                break
            try:
                name, kept = self._item(path, key, item, depth + 1)
                if value_rule and key in VALUES and kept is item:
                    kept = self._by_key(value_rule, item, f"{path}.{key}")
            except Exception as error:  # noqa: BLE001 - a value or a callback may raise anything
                name, kept = self._failed_name(key), self.failed(error)
            is_same = is_same and kept is item and name is key
            changed[unique(name, changed, taken)] = kept
        return changed, is_same

    def _items(self, path: str, value: list[object], depth: int) -> tuple[list[object], bool]:
        """Return the redacted items of a list, and whether nothing changed."""
        budget = self._budget
        size = len(value)
        changed: list[object] = []
        is_same = True
        for item, rule in with_rules(value, self._texts.rule_in_text):
            if (len(changed) == MAX_ITEMS - 1 and size > MAX_ITEMS) or not budget.has_share_left():
                changed.append(left_out(size, len(changed), "items", value[-1]))
                return changed, False
            budget.left -= 1
            try:
                kept = (
                    self._list_item(rule, path, item) if rule else self.value(path, item, depth + 1)
                )
            except Exception as error:  # noqa: BLE001 - as above
                kept = self.failed(error)
            is_same = is_same and kept is item
            changed.append(kept)
        return changed, is_same

    def _list_item(self, rule: str, path: str, item: object) -> object:
        """Redact an item that its list marks as a secret, or as a name with its secret."""
        if type(item) is not list and type(item) is not tuple:
            return self._by_key(rule, item, path)
        name, secret = pair = cast("list[object] | tuple[object, ...]", item)
        kept = (self.value(path, name), self._by_key(rule, secret, path))
        if kept[0] is name and kept[1] is secret:
            return pair
        return list(kept) if type(pair) is list else kept

    def _scalar(self, path: str, value: object) -> object:
        """Return a value that holds no other values, after callback and rules."""
        self._budget.left -= 1
        if self._callback is not None:
            answer = self._callback(self._prefix + path, value)
            if answer is not value:
                value = self._answer(answer, path)
        if type(value) is str:
            # Text beyond ASCII is also folded, which costs more.
            cost = _TEXT + (len(value) >> (5 if value.isascii() else 1))
            if self._budget.left < cost >> 1:
                return TOO_MUCH
            self._budget.left -= cost
            if self._texts.is_clean(value) or (value.isdecimal() and is_identifier(path)):
                return value
            cost = _SUSPICIOUS + (min(len(value), self._texts.scan_limit) >> 1)
            if self._budget.left < cost >> 1:
                return TOO_MUCH
            self._budget.left -= cost
            found = self._texts.redact(value, path)
            self._budget.left -= _MARK * found.count(MARK_BEGIN)
            return found
        if type(value) is int and LEAST_CARD <= value < MOST_CARD:
            self._budget.left -= 2 * _CHECKED
            if is_card(str(value)) and not is_identifier(path):
                self._budget.left -= _MARK
                return self._marker.mark(str(value), "credit-card")
        return value

    def _answer(self, answer: object, path: str) -> object:
        """Return a callback's answer as plain data, redacted by the rules."""
        COUNTERS.add("redacted.callback")
        if type(answer) is str or type(answer) is int or type(answer) in NO_SECRETS:
            return answer
        return Walker(self._texts, None, self._budget).value(path, self._plain(answer))

    def _bytes(self, path: str, value: bytes) -> object:
        self._budget.left -= len(value) >> 8
        text = value.decode("latin-1")
        found = self._scalar(path, text)
        if found is text or found == text:
            return value
        return found if isinstance(found, str) else ERROR_MARK

    def _by_key(  # noqa: PLR0911 - one for each kind of value
        self, rule: str, value: object, path: str
    ) -> object:
        """Return a mark for the value under a key that names a secret."""
        if value is None or type(value) is bool:
            return value
        self._budget.left -= _CHECKED
        if isinstance(value, str):
            text = str.__str__(value)
            if not text or (text.startswith(MARK_BEGIN) and MARK.fullmatch(text)):
                return value
            if rule not in CERTAIN and not is_secret(text, rule, is_bare=False):
                return self._scalar(path, value)
            return self._marker.mark(text, rule)
        if type(value) is int and rule not in CERTAIN and not is_secret(str(value), rule):
            return value
        if not self._marker.shows_equality or not self._budget.has_share_left():
            return self._marker.mark(None, rule)
        return self._marker.mark(encode_value(value, Cleaner(self._budget)), rule)


def _are_harmless(values: list[object]) -> bool:
    """Fast check: are these all numbers that no rule applies to, as in an embedding?"""
    if len(values) > MAX_ITEMS:
        return False
    kinds = set(map(type, values))
    return kinds <= NO_SECRETS or (kinds == {int} and max(cast("list[int]", values)) < LEAST_CARD)


def _is_other_scalar(kind: type) -> bool:
    if kind in _SCALARS:
        return True
    # Not imported for this: if the program did not import it, there is no such value.
    decimal = sys.modules.get("decimal")
    return decimal is not None and kind is getattr(decimal, "Decimal", None)
