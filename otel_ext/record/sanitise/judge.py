"""`Judge`: how a walk through a user's data asks for the removal of secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.record.sanitise.budget import Budget

__all__ = ["ALLOWED", "VALUES", "Judge"]

ALLOWED: Final = "allowed"
"""The rule of a key whose value is not searched for secrets."""

VALUES: Final = frozenset({"value", "Value"})
"""The fields of a mapping that hold the value named by another field."""


class Judge(Protocol):
    """Finds secrets while a `Walker` visits keys and values; see `otel_ext.redaction`.

    Each method pays for its work from the budget. What it raises drops the key or value
    that it got. A path is the keys that lead to a value, with dots between.
    """

    harmless_below: int | None
    """Lists of lower integers, and of floats, need no judge; None if it must see every value."""

    def key(self, path: str, key: str, budget: Budget) -> tuple[str, str]:
        """Return a key without secrets, and the rule for its value; empty without one."""
        ...

    def scalar(self, path: str, value: object, budget: Budget) -> object:
        """Return a text, a number, a bool or None without secrets."""
        ...

    def under_key(self, rule: str, path: str, value: object, budget: Budget) -> object:
        """Return a mark for the value under a key that names a secret."""
        ...

    def rule_of_fields(self, fields: Mapping[str, object]) -> str:
        """Return the rule for the field `value` of a mapping, by its field `name`."""
        ...

    def rules_of_items(self, items: Iterable[object]) -> Iterable[tuple[object, str]]:
        """Yield each item of a list with the rule by which the list marks it as a secret."""
        ...

    def failed(self, error: Exception) -> str:
        """Report the error; return what replaces the value."""
        ...
