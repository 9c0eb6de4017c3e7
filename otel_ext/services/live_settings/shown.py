"""Shows the values of settings in the records and events of their changes, without secrets."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from otel_ext.redaction.masks import Marker
from otel_ext.services.live_settings.leaf import SECRET, secret_rule
from otel_ext.services.live_settings.tree import is_record
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["shown"]

_PLAIN: Final = frozenset({int, float, bool, str, type(None)})
_MAX_DEPTH: Final = 4
_MAX_ITEMS: Final = 100


def shown(value: object, rule: str = "", depth: int = _MAX_DEPTH) -> object:
    """Return a value as plain data for a record; a mark for a secret; never raises.

    Args:
        value: The value of a setting.
        rule: The rule by which it is a secret; empty if it is not.
        depth: How many levels of tuples, lists and dataclasses are shown as such.

    >>> shown((1, "a")), shown("hunter2", "password"), shown(True, "password")
    ([1, 'a'], '[redacted: password]', True)
    """
    if rule and _is_telling(value, rule):
        return Marker("").mark(None, rule)
    if type(value) in _PLAIN:
        return value
    try:
        if isinstance(value, Enum):
            return value.name
        if depth and _is_list(value):
            items = cast("Sequence[object]", value)
            return [shown(item, "", depth - 1) for item in items[:_MAX_ITEMS]]
        if depth and is_record(value):
            return _fields_of(value, depth - 1)
    except Exception:  # noqa: BLE001, S110 - an object of a user's class; shown below
        pass
    return short_repr(value)


def _is_list(value: object) -> bool:
    return isinstance(value, (tuple, list))


def _is_telling(value: object, rule: str) -> bool:
    """Whether a value under the name of a secret can be one; whether it is set is not."""
    if value is None:
        return False
    return rule == SECRET or not (isinstance(value, bool) or (type(value) is str and not value))


def _fields_of(value: object, depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for field in fields(cast("Any", value)):
        rule = secret_rule(field, field.name)
        found[field.name] = shown(getattr(value, field.name), rule, depth)
    return found
