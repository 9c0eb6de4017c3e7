"""The rules for the metadata under `__tracer_meta__`, as tables.

They are equivalent to `schema.json`, in a form that is fast to check; a test checks the
same records with both. docs/record-format.md describes them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.record.model import ABANDONED_CAUSES, FORMAT_VERSION, SPAN_KINDS, STATUS_CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "META_RULES",
    "PROCESS_EVENTS",
    "SHAPES",
    "TIMESTAMP_PATTERN",
    "Rule",
    "Shape",
    "shape_of",
]

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_UINT64_MAX: Final = 2**64 - 1


class Rule(NamedTuple):
    """What one key may hold.

    `accepts` checks the value as a whole. With `fields`, it is an object with these keys,
    or with `many` as well, an array of such objects.
    """

    expected: str
    accepts: Callable[[object], bool]
    required: bool = True
    fields: Mapping[str, Rule] | None = None
    many: bool = False


def _is_true(value: object) -> bool:
    return value is True


def _is_boolean(value: object) -> bool:
    return type(value) is bool


def _is_version(value: object) -> bool:
    return type(value) is int and value == FORMAT_VERSION


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_object(value: object) -> bool:
    return type(value) is dict


def _is_array(value: object) -> bool:
    return type(value) is list


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _INT64_MAX


def _is_integer(value: object) -> bool:
    return type(value) is int and _INT64_MIN <= value <= _INT64_MAX


def _is_worker_id(value: object) -> bool:
    return type(value) is int and _INT64_MIN <= value <= _UINT64_MAX


def _are_texts(value: object) -> bool:
    if not isinstance(value, list):
        return False
    return all(type(item) is str for item in cast("list[object]", value))


def _are_counts(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return all(_is_count(item) for item in cast("dict[str, object]", value).values())


def _matching(pattern: str) -> Callable[[object], bool]:
    fullmatch = re.compile(pattern).fullmatch
    return lambda value: type(value) is str and fullmatch(value) is not None


def _one_of(*values: str) -> Callable[[object], bool]:
    allowed = frozenset(values)
    return lambda value: type(value) is str and value in allowed


# Only days that exist, leap years included; the schema has the same text.
TIMESTAMP_PATTERN: Final = (
    "(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
)

_TEXT: Final = Rule("text", _is_text)
_MAYBE_TEXT: Final = _TEXT._replace(required=False)
_COUNT: Final = Rule("an integer from 0 to 2^63-1", _is_count)
_MAYBE_COUNT: Final = _COUNT._replace(required=False)
_TRUE: Final = Rule("true", _is_true)
_MAYBE_TRUE: Final = _TRUE._replace(required=False)
_INTEGER: Final = Rule("an integer of 64 bits", _is_integer)
_TIMESTAMP: Final = Rule("a time like 2026-10-14T17:46:40.123456Z", _matching(TIMESTAMP_PATTERN))
_TRACE_ID: Final = Rule("32 lower-case hex digits, not all 0", _matching("(?!0{32})[0-9a-f]{32}"))
_SPAN_ID: Final = Rule("16 lower-case hex digits, not all 0", _matching("(?!0{16})[0-9a-f]{16}"))
_ATTRIBUTES: Final = Rule("an object", _is_object)
_MAYBE_ATTRIBUTES: Final = _ATTRIBUTES._replace(required=False)
_WORKER: Final = Rule(
    "an object",
    _is_object,
    fields={"id": Rule("an integer of 64 bits", _is_worker_id), "name": _TEXT},
)


def _choice(*values: str) -> Rule:
    return Rule("one of " + ", ".join(values), _one_of(*values))


def _array(fields: Mapping[str, Rule]) -> Rule:
    return Rule("an array", _is_array, fields=fields, many=True)


META_RULES: Final[Mapping[str, Rule]] = {
    "timestamp": _TIMESTAMP,
    "event": _TEXT,
    "trace_id": _TRACE_ID,
    "span_id": _SPAN_ID,
    "file": _TEXT,
    "line": _COUNT,
    "function": _TEXT,
    "provisional": _TRUE,
    "version": Rule("2", _is_version),
    "kind": _choice("span", "log", "event", "process"),
    "phase": _choice("start", "update", "end"),
    "seq": _COUNT,
    "process": Rule(
        "a name of letters, digits, '.', '_' and '-', at most 128",
        _matching("[A-Za-z0-9][A-Za-z0-9._-]{0,127}"),
    ),
    "parent_span_id": _SPAN_ID,
    "span_kind": _choice(*SPAN_KINDS),
    "scope": Rule(
        "an object",
        _is_object,
        fields={"name": _TEXT, "version": _MAYBE_TEXT, "schema_url": _MAYBE_TEXT},
    ),
    "links": _array(
        {
            "trace_id": _TRACE_ID,
            "span_id": _SPAN_ID,
            "attributes": _MAYBE_ATTRIBUTES,
            "dropped": _MAYBE_COUNT,
            "remote": _MAYBE_TRUE,
            "trace_state": _MAYBE_TEXT,
        }
    ),
    "remote": _TRUE,
    "trace_state": _TEXT,
    "thread": _WORKER,
    "task": _WORKER,
    "start": _TIMESTAMP,
    "duration_ns": _INTEGER,
    "status": Rule(
        "an object",
        _is_object,
        fields={"code": _choice(*STATUS_CODES), "description": _MAYBE_TEXT},
    ),
    "events": _array(
        {
            "name": _TEXT,
            "timestamp": _TIMESTAMP,
            "attributes": _MAYBE_ATTRIBUTES,
            "dropped": _MAYBE_COUNT,
        }
    ),
    "abandoned": _choice(*ABANDONED_CAUSES),
    "cancelled": _TRUE,
    "signal": Rule("a signal's name, like SIGKILL", _matching("SIG[A-Z0-9+-]{1,29}")),
    "exit_status": _INTEGER,
    "last_seen": _TIMESTAMP,
    "stalled": Rule("true or false", _is_boolean),
    "age_ns": _COUNT,
    "stack": _array({"file": _TEXT, "line": _COUNT, "function": _TEXT}),
    "level": _TEXT,
    "logger": _TEXT,
    "entity": Rule(
        "an object",
        _is_object,
        fields={
            "type": _TEXT,
            "id": _TEXT,
            "deleted": _MAYBE_TRUE,
        },
    ),
    "pid": _COUNT,
    "start_time": _COUNT,
    "boot_id": _TEXT,
    "pid_namespace": _COUNT,
    "heartbeat_ms": _COUNT,
    "steady_ns": _COUNT,
    "buffer_peak": _COUNT,
    "host": _TEXT,
    "argv": Rule("an array of texts", _are_texts),
    "resource": _ATTRIBUTES,
    "schema_url": _TEXT,
    "open_spans": _COUNT,
    "last_seq": _COUNT,
    "dropped": Rule("an object of counts by reason", _are_counts),
    "accepted": _COUNT,
    "written": _COUNT,
    "memory_bytes": _COUNT,
}


class Shape(NamedTuple):
    """Which keys a record of one kind and phase must have, and which it may."""

    name: str
    required: frozenset[str]
    allowed: frozenset[str]


_ALWAYS: Final = frozenset(
    ("timestamp", "event", "file", "line", "function", "version", "kind", "seq", "process"),
)


def _shape(name: str, required: str, optional: str) -> Shape:
    needed = _ALWAYS.union(required.split())
    return Shape(name, needed, needed.union(optional.split()))


_SPAN: Final = "trace_id span_id phase "
_SPAN_MAY: Final = "parent_span_id span_kind scope links remote trace_state thread task "
_ENDED: Final = f"{_SPAN} start duration_ns status "
_DEATH: Final = "signal exit_status last_seen "
_FACTS: Final = "pid start_time boot_id host argv resource "
_TOTALS: Final = "last_seq dropped accepted written "
_WHO: Final = "thread task "
_PROCESS_MAY: Final = (
    f"{_FACTS} {_WHO} {_TOTALS} open_spans memory_bytes schema_url pid_namespace heartbeat_ms "
    "steady_ns buffer_peak "
)

SHAPES: Final[Mapping[str, Shape]] = {
    shape.name: shape
    for shape in (
        _shape("span.start", f"{_SPAN} provisional", _SPAN_MAY),
        _shape("span.update", f"{_SPAN} provisional age_ns", f"{_SPAN_MAY} stalled stack"),
        _shape("span.end", _ENDED, f"{_SPAN_MAY} events cancelled dropped"),
        _shape(
            "span.end (abandoned)", f"{_ENDED} abandoned", f"{_SPAN_MAY} events dropped {_DEATH}"
        ),
        _shape("log", "", f"trace_id span_id {_WHO} level logger"),
        _shape("event", "", f"trace_id span_id {_WHO} entity"),
        _shape("process.start", _FACTS, f"schema_url pid_namespace heartbeat_ms steady_ns {_WHO}"),
        _shape("process.heartbeat", f"open_spans {_TOTALS}", _PROCESS_MAY),
        _shape("process.end", "", f"{_DEATH} {_PROCESS_MAY}"),
    )
}
PROCESS_EVENTS: Final = ("process.start", "process.heartbeat", "process.end")


def shape_of(meta: Mapping[str, object]) -> str | None:
    """Return the name of the shape that matches a record's kind, phase and event.

    >>> shape_of({"kind": "span", "phase": "end", "abandoned": "expired"})
    'span.end (abandoned)'
    >>> shape_of({"kind": "dream"}) is None
    True
    """
    kind = meta.get("kind")
    if kind == "log" or kind == "event":  # noqa: PLR1714 - a set would need a hashable kind
        return str(kind)
    if kind == "span":
        name = f"span.{meta.get('phase')}"
        if name == "span.end" and "abandoned" in meta:
            name = "span.end (abandoned)"
    elif kind == "process" and meta.get("event") in PROCESS_EVENTS:
        name = str(meta["event"])
    else:
        return None
    return name if name in SHAPES else None
