"""Checks a record as tolerantly as readers are: keys that they do not know may be there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from otel_ext.record.schema.rules import META_RULES, SHAPES, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.schema.rules import Rule

__all__ = ["are_valid", "is_readable"]

# What a record of a process has whose event only a later release knows.
_ANY_PROCESS: Final = SHAPES["event"].required


def is_readable(meta: Mapping[str, object]) -> bool:
    """Whether readers of this version can use a record, also one of a later release.

    The keys that this version knows have valid values, and those that it requires are there.
    `otel_ext.record.schema.validation` explains what is wrong, and is strict.

    Args:
        meta: The object under `__tracer_meta__`.
    """
    if not are_valid(meta):
        return False
    name = shape_of(meta)
    if name is None:
        return meta.get("kind") == "process" and meta.keys() >= _ANY_PROCESS
    if not SHAPES[name].required <= meta.keys():
        return False
    if meta["kind"] == "span":
        return str(meta["event"]).endswith(f".{meta['phase']}")
    return ("trace_id" in meta) == ("span_id" in meta)


def are_valid(fields: Mapping[str, object], rules: Mapping[str, Rule] = META_RULES) -> bool:
    """Whether the values of the keys that have a rule follow it.

    >>> are_valid({"seq": 5, "later": None}), are_valid({"seq": -5})
    (True, False)
    """
    for key, value in fields.items():
        rule = rules.get(key)
        if rule is None:
            continue
        if not rule.accepts(value):
            return False
        if rule.fields is not None:
            items = cast("list[object]", value) if rule.many else (value,)
            for item in items:
                if not _is_object(item, rule.fields):
                    return False
    return True


def _is_object(value: object, rules: Mapping[str, Rule]) -> bool:
    if type(value) is not dict:
        return False
    found = cast("dict[str, object]", value)
    if not are_valid(found, rules):
        return False
    # Most have all keys.
    return found.keys() >= rules.keys() or not any(
        rule.required and key not in found for key, rule in rules.items()
    )
