"""Finds list items that are secrets: those after an option, and values in name-value pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from otel_ext.record.sanitise.judge import VALUES
from otel_ext.redaction.rules.contexts import SHORT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["rule_of_fields", "with_rules"]

_LONGEST_NAME: Final = 128
_PAIR: Final = 2
_MAX_FIELDS: Final = 8
_NAMES: Final = ("name", "Name", "key", "Key")


def with_rules(
    items: Iterable[object], rule_for: Callable[[str], str]
) -> Iterator[tuple[object, str]]:
    """Yield each item with the rule by which it, or the second of a pair, is a secret.

    Args:
        items: A command line, or pairs such as the headers of a request.
        rule_for: Returns the rule by which a name's value is a secret; empty if it is not.

    >>> from otel_ext.redaction.rules.names import rule_for_name
    >>> list(with_rules(["mysql", "--password", "hunter2"], rule_for_name))
    [('mysql', ''), ('--password', ''), ('hunter2', 'password')]
    >>> list(with_rules([("cookie", "hunter2"), ("host", "h")], rule_for_name))
    [(('cookie', 'hunter2'), 'cookie'), (('host', 'h'), '')]
    """
    next_rule = ""
    command: str | None = None
    for item in items:
        if command is None:
            command = item.rpartition("/")[2] if type(item) is str else ""
        rule, next_rule = next_rule, ""
        if type(item) is str and item[:1] == "-":
            rule = ""
            if "=" not in item:
                next_rule = _rule_of(item.lstrip("-"), rule_for)
                if not next_rule and command in SHORT_OPTIONS.get(item[:2], ()):
                    # Only MySQL's clients take the value right after the letter.
                    is_glued = command.startswith(("mysql", "maria"))
                    rule = "password" if is_glued and item[2:] else ""
                    next_rule = "" if is_glued or item[2:] else "password"
        elif (type(item) is list or type(item) is tuple) and len(
            pair := cast("list[object]", item)
        ) == _PAIR:
            rule = _rule_of(pair[0], rule_for)
        yield item, rule


def rule_of_fields(fields: Mapping[str, object], rule_for: Callable[[str], str]) -> str:
    """Return the rule for the field `value` of a mapping whose field `name` names a secret.

    >>> from otel_ext.redaction.rules.names import rule_for_name
    >>> rule_of_fields({"name": "API_TOKEN", "value": "x"}, rule_for_name)
    'token'
    """
    if len(fields) > _MAX_FIELDS or VALUES.isdisjoint(fields):
        return ""
    return _rule_of(next((fields[key] for key in _NAMES if key in fields), None), rule_for)


def _rule_of(name: object, rule_for: Callable[[str], str]) -> str:
    if type(name) is bytes:
        name = name.decode("latin-1")
    return rule_for(name) if type(name) is str and len(name) <= _LONGEST_NAME else ""
