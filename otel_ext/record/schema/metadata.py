"""Checks the metadata of one record against the tables of `otel_ext.record.schema.rules`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from otel_ext.record.model import FORMAT_VERSION, META_KEY
from otel_ext.record.schema.rules import META_RULES, PROCESS_EVENTS, SHAPES, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.schema.rules import Rule, Shape

__all__ = ["Reasons", "check_meta"]

_MAX_REASONS: Final = 20
_MAX_SHOWN: Final = 60


class Reasons(list[str]):
    """What is wrong with one line, each with its JSON pointer; at most a screenful."""

    def add(self, pointer: str, message: str) -> None:
        """Add that the value at `pointer` breaks a rule."""
        if len(self) < _MAX_REASONS:
            self.append(f"{pointer}: {message}")
        elif len(self) == _MAX_REASONS:
            self.append("... and more")


def check_meta(meta: Mapping[str, object], reasons: Reasons) -> str:
    """Check the metadata of one record.

    Args:
        meta: The object under `__tracer_meta__`, as parsed.
        reasons: Receives one entry for each broken rule.

    Returns:
        The name of the record's shape, such as `span.start`; empty if it has none.
    """
    pointer = f"/{META_KEY}"
    _check_fields(meta, META_RULES, pointer, reasons)
    name = shape_of(meta)
    if name is None:
        _explain_no_shape(meta, pointer, reasons)
        return ""
    shape = SHAPES[name]
    keys = meta.keys()
    if not shape.required <= keys <= shape.allowed:
        _explain_keys(shape, meta, pointer, reasons)
    if shape.name.startswith("span."):
        _check_event(meta, pointer, reasons)
    elif ("trace_id" in meta) != ("span_id" in meta):
        reasons.add(pointer, "has only one of trace_id and span_id")
    return name


def _check_fields(
    value: Mapping[str, object],
    rules: Mapping[str, Rule],
    pointer: str,
    reasons: Reasons,
) -> None:
    for key, item in value.items():
        rule = rules.get(key)
        if rule is None:
            reasons.add(f"{pointer}/{_escape(key)}", f"is not a key of version {FORMAT_VERSION}")
        elif not rule.accepts(item):
            reasons.add(f"{pointer}/{key}", f"must be {rule.expected}, is {_show(item)}")
        elif rule.fields is not None:
            _check_inside(item, rule, f"{pointer}/{key}", reasons)


def _check_inside(value: object, rule: Rule, pointer: str, reasons: Reasons) -> None:
    if not rule.many:
        _check_object(value, rule, pointer, reasons)
        return
    for index, item in enumerate(cast("list[object]", value)):
        _check_object(item, rule, f"{pointer}/{index}", reasons)


def _check_object(value: object, rule: Rule, pointer: str, reasons: Reasons) -> None:
    if not isinstance(value, dict):
        reasons.add(pointer, f"must be an object, is {_show(value)}")
        return
    found = cast("dict[str, object]", value)
    rules = cast("Mapping[str, Rule]", rule.fields)
    _check_fields(found, rules, pointer, reasons)
    for key, inner in rules.items():
        if inner.required and key not in found:
            reasons.add(pointer, f"has no {key}")


def _check_event(meta: Mapping[str, object], pointer: str, reasons: Reasons) -> None:
    event, phase = meta.get("event"), meta.get("phase")
    if type(event) is str and not event.endswith(f".{phase}"):
        reasons.add(f"{pointer}/event", f"must end in .{phase}, is {_show(event)}")


def _explain_no_shape(meta: Mapping[str, object], pointer: str, reasons: Reasons) -> None:
    """Add which key keeps the record from matching any shape, unless already reported."""
    if "kind" not in meta:
        reasons.add(pointer, "has no kind")
    elif meta["kind"] == "span" and "phase" not in meta:
        reasons.add(pointer, "has no phase, which records of spans must have")
    elif meta["kind"] == "process":
        expected = ", ".join(PROCESS_EVENTS)
        shown = _show(meta.get("event"))
        reasons.add(f"{pointer}/event", f"must be one of {expected}, is {shown}")


def _explain_keys(
    shape: Shape,
    meta: Mapping[str, object],
    pointer: str,
    reasons: Reasons,
) -> None:
    for key in META_RULES:
        if key in shape.required and key not in meta:
            reasons.add(pointer, f"has no {key}, which {shape.name} must have")
        elif key in meta and key not in shape.allowed:
            reasons.add(f"{pointer}/{key}", f"does not belong to {shape.name}")


def _escape(key: str) -> str:
    """Return `key` as a part of a JSON pointer (RFC 6901), short and safe to print."""
    shown = key if len(key) <= _MAX_SHOWN else f"{key[:_MAX_SHOWN]}..."
    return json.dumps(shown.replace("~", "~0").replace("/", "~1"))[1:-1]


def _show(value: object) -> str:
    """Return a short text for a value, in ASCII so that it is safe to print."""
    if isinstance(value, dict):
        return f"an object of {len(cast('dict[str, object]', value))} keys"
    if isinstance(value, list):
        return f"an array of {len(cast('list[object]', value))} items"
    if isinstance(value, str) and len(value) > _MAX_SHOWN:
        return f"{json.dumps(value[:_MAX_SHOWN])}... ({len(value)} characters)"
    return json.dumps(value)
