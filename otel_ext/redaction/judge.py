"""`SecretJudge`: decides about the keys and values of a record while they are walked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.record.sanitise.budget import TOO_MUCH
from otel_ext.record.sanitise.values import encode_value
from otel_ext.record.sanitise.walk import Walker
from otel_ext.redaction.list_rules import rule_of_fields, with_rules
from otel_ext.redaction.masks import ERROR_MARK, MARK, MARK_BEGIN
from otel_ext.redaction.scan.cards import LEAST_CARD, MOST_CARD, is_card, is_identifier
from otel_ext.redaction.scan.values import is_secret
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_ext.record.sanitise.budget import Budget
    from otel_ext.redaction.text import TextRedactor

__all__ = ["RedactCallback", "SecretJudge"]

RedactCallback: TypeAlias = "Callable[[str, object], object]"
"""Gets the path of a value and the value, returns its replacement."""

# What searching costs, in steps of a walk: each is about seven of a walk without a judge.
_KEY: Final = 21
_VALUE: Final = 7
_TEXT: Final = 28
_SUSPICIOUS: Final = 840
_MARK: Final = 420
_CHECKED: Final = 140
_NEW_KEY: Final = 280
# Rules that redact any value under their keys.
_CERTAIN: Final = frozenset({"custom-key", "personal", "credit-card", "ssn"})


class SecretJudge:
    """Finds secrets by the rules, and by a function of the program; a `Judge`.

    Args:
        texts: Judges keys and redacts texts.
        callback: Gets each text, number, bool and None; the rules apply to its answer.
        prefix: Precedes each path that the callback gets.
    """

    __slots__ = ("_callback", "_marker", "_prefix", "_texts", "harmless_below")

    def __init__(
        self, texts: TextRedactor, callback: RedactCallback | None = None, prefix: str = ""
    ) -> None:
        self._texts = texts
        self._marker = texts.marker
        self._callback = callback
        self._prefix = prefix
        self.harmless_below = LEAST_CARD if callback is None else None

    def key(self, path: str, key: str, budget: Budget) -> tuple[str, str]:
        """Return a key without secrets, and the rule for its value; empty without one."""
        budget.left -= _KEY
        verdict = self._texts.verdicts.get(path)
        if verdict is None:
            budget.left -= _NEW_KEY + 7 * (len(path) + (len(path) ** 2 >> 9))
            verdict = self._texts.verdict(path)
        if not verdict.name:
            return key, verdict.rule
        return (verdict.name if path == key else self._texts.redact(key)), verdict.rule

    def scalar(self, path: str, value: object, budget: Budget) -> object:
        """Return a text, a number, a bool or None without secrets."""
        budget.left -= _VALUE
        if self._callback is not None:
            answer = self._callback(self._prefix + path, value)
            if answer is not value:
                COUNTERS.add("redacted.callback")
                return Walker(budget, SecretJudge(self._texts)).value(answer, path)
        if type(value) is str:
            return self._text(path, value, budget)
        if type(value) is int and LEAST_CARD <= value < MOST_CARD:
            budget.left -= 2 * _CHECKED
            if is_card(str(value)) and not is_identifier(path):
                budget.left -= _MARK
                return self._marker.mark(str(value), "credit-card")
        return value

    def _text(self, path: str, text: str, budget: Budget) -> str:
        # Text beyond ASCII is also folded, which costs more.
        cost = _TEXT + 7 * (len(text) >> (5 if text.isascii() else 1))
        if budget.left < cost >> 1:
            return TOO_MUCH
        budget.left -= cost
        if self._texts.is_clean(text) or (text.isdecimal() and is_identifier(path)):
            return text
        cost = _SUSPICIOUS + 7 * (min(len(text), self._texts.scan_limit) >> 1)
        if budget.left < cost >> 1:
            return TOO_MUCH
        budget.left -= cost
        found = self._texts.redact(text, path)
        budget.left -= _MARK * found.count(MARK_BEGIN)
        return found

    def under_key(  # noqa: PLR0911 - one for each kind of value
        self, rule: str, path: str, value: object, budget: Budget
    ) -> object:
        """Return a mark for the value under a key that names a secret."""
        if value is None or type(value) is bool:
            return value
        budget.left -= _CHECKED
        if isinstance(value, str):
            text = str.__str__(value)
            if not text or (text.startswith(MARK_BEGIN) and MARK.fullmatch(text)):
                return text
            if rule not in _CERTAIN and not is_secret(text, rule, is_bare=False):
                return self.scalar(path, text, budget)
            return self._marker.mark(text, rule)
        if type(value) is int and rule not in _CERTAIN and not is_secret(str(value), rule):
            return value
        if not self._marker.shows_equality or not budget.has_share_left():
            return self._marker.mark(None, rule)
        return self._marker.mark(encode_value(value, Walker(budget)), rule)

    def rule_of_fields(self, fields: Mapping[str, object]) -> str:
        """Return the rule for the field `value` of a mapping, by its field `name`."""
        return rule_of_fields(fields, self._texts.rule_in_text)

    def rules_of_items(self, items: Iterable[object]) -> Iterable[tuple[object, str]]:
        """Yield each item of a list with the rule by which the list marks it as a secret."""
        return with_rules(items, self._texts.rule_in_text)

    def failed(self, error: Exception) -> str:
        """Report the error; return what replaces the value."""
        COUNTERS.add("redacted.error")
        # Without the error's message, which may contain the value.
        report_problem("redaction: a value was left out", f"{type(error).__name__} was raised")
        return ERROR_MARK
