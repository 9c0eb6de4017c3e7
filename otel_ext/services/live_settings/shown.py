"""Shows the values of settings in the records and events of their changes, without secrets."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from otel_ext.record.model import Process, Record
from otel_ext.record.sanitise.scalars import text_of
from otel_ext.redaction.masks import Marker
from otel_ext.redaction.redactor import Redactor
from otel_ext.redaction.rules.names import rule_for_name
from otel_ext.services.live_settings.leaf import SECRET, secret_rule
from otel_ext.services.live_settings.tree import is_record
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["shown", "without_secrets"]

_PLAIN: Final = frozenset({int, float, bool, str, type(None)})
_MAX_DEPTH: Final = 4
_MAX_ITEMS: Final = 100
_SELF: Final = Process("settings")


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
        return _parts_of(value, depth - 1) if depth else short_repr(value)
    except Exception:  # noqa: BLE001 - an object of a user's class
        return short_repr(value)


def _parts_of(value: object, depth: int) -> object:
    if _is_list(value):
        items = cast("Sequence[object]", value)
        return [shown(item, "", depth) for item in items[:_MAX_ITEMS]]
    if isinstance(value, dict):
        pairs = islice(cast("dict[object, object]", value).items(), _MAX_ITEMS)
        texts = [(text_of(key), item) for key, item in pairs]
        return {key: shown(item, rule_for_name(key), depth) for key, item in texts}
    return _fields_of(value, depth) if is_record(value) else short_repr(value)


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


_redactors: Final[dict[str, Redactor]] = {}


def without_secrets(facts: Mapping[str, object]) -> Mapping[str, object]:
    """Return facts without the secrets in their texts, such as a password in an address.

    Args:
        facts: Plain data; secrets by name are marked already.

    >>> without_secrets({"new": {"db": "postgres://u:hunter2@db-1/shop"}})["new"]
    {'db': 'postgres://u:[redacted: url-password]@db-1/shop'}
    """
    redactor = _redactors.get("default") or _redactors.setdefault("default", Redactor())
    return redactor.sanitise(Record("event", None, "", 0, 0, _SELF, attributes=facts)).attributes
