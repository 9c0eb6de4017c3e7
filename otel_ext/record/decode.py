"""Decodes a line of JSON into a record.

Decoding is for readers: unknown metadata keys are kept under `extra`, so that a newer
writer's keys survive a round trip. `otel_ext.record.schema.validation` checks whether a
line follows the format in every detail.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import orjson

from otel_ext.errors import RecordError
from otel_ext.record.model import (
    ABANDONED_CAUSES,
    EMPTY,
    FORMAT_VERSION,
    META_KEY,
    CallSite,
    Link,
    Process,
    Record,
    Scope,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
    TraceContext,
)
from otel_ext.record.timestamps import exact_times, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Abandoned, Kind, Phase

__all__ = ["READ_KEYS", "decode_attributes", "decode_line"]

_KINDS: Final = frozenset({"span", "log", "event", "process"})
_PHASES: Final = frozenset({"start", "update", "end"})
READ_KEYS: Final = frozenset(
    (  # noqa: SIM905 - read as one line
        "timestamp event trace_id span_id file line function provisional version kind phase "
        "seq process parent_span_id span_kind scope links remote trace_state thread task start "
        "duration_ns status "
        "events abandoned level logger"
    ).split(),
)
"""The metadata that have a field of a record; the others are kept under `extra`."""

# The encoder writes these texts without escaping them.
_PATTERNS: Final = {
    "trace_id": re.compile(r"[0-9a-f]{32}|"),
    "span_id": re.compile(r"[0-9a-f]{16}|"),
    "parent_span_id": re.compile(r"[0-9a-f]{16}|"),
    "process": re.compile(r"[A-Za-z0-9._-]{1,128}"),
    "span_kind": re.compile(r"internal|server|client|producer|consumer|"),
    "code": re.compile(r"unset|ok|error"),
    "abandoned": re.compile("|".join(ABANDONED_CAUSES)),
}


def decode_line(line: bytes | str) -> Record:
    r"""Return the record that `line` encodes.

    A top-level `timestamp` equal to the record's own is compat mode's copy and is left
    out, so that both modes give the same record.

    Args:
        line: One line, with or without its newline.

    Raises:
        RecordError: The line is not JSON, not a record, or not of this version.

    >>> from otel_ext.record.codec import encode_line
    >>> from otel_ext.record.model import Process, Record
    >>> record = Record("event", None, "deployed", 0, 1, Process("p"), attributes={"n": 1})
    >>> line = encode_line(record)
    >>> decode_line(line).attributes
    {'n': 1}
    """
    meta, attributes = _parts_of(line)
    try:
        return _record(meta, attributes)
    except RecordError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{META_KEY}: {type(error).__name__}: {error}") from None


def decode_attributes(line: bytes | str) -> Mapping[str, object]:
    r"""Return the attributes in a record, at a tenth of the cost of the whole record.

    Args:
        line: One line, with or without its newline; its metadata are not checked.

    Raises:
        RecordError: The line is not JSON, or not a record.

    >>> decode_attributes(b'{"__tracer_meta__": {"kind": "event"}, "n": 1}\n')
    {'n': 1}
    """
    return _parts_of(line)[1]


def _parts_of(line: bytes | str) -> tuple[dict[str, object], dict[str, object]]:
    """Return the metadata and the attributes in a line."""
    try:
        loaded = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise RecordError(f"not JSON: {error}") from None
    if not isinstance(loaded, dict):
        raise RecordError(f"a record is an object, not {type(loaded).__name__}")
    attributes = cast("dict[str, object]", loaded)
    meta = attributes.pop(META_KEY, None)
    if not isinstance(meta, dict):
        raise RecordError(f"no {META_KEY}", hint="otel-ext reads records of version 2")
    meta = cast("dict[str, object]", meta)
    if "timestamp" in attributes and attributes["timestamp"] == meta.get("timestamp"):
        del attributes["timestamp"]
    return meta, attributes


def _record(meta: dict[str, object], attributes: dict[str, object]) -> Record:
    if meta["version"] != FORMAT_VERSION:
        raise RecordError(f"version {meta['version']!r} is not {FORMAT_VERSION}")
    kind, phase, name = _kind(meta)
    start_ns, time_ns = _times(meta, _text(meta["timestamp"]))
    return Record(
        kind=kind,
        phase=phase,
        name=name,
        time_ns=time_ns,
        seq=_number(meta["seq"]),
        process=Process(_checked(meta, "process")),
        call_site=CallSite(_text(meta["file"]), _number(meta["line"]), _text(meta["function"])),
        attributes=attributes,
        trace_id=_checked(meta, "trace_id"),
        span_id=_checked(meta, "span_id"),
        parent_span_id=_checked(meta, "parent_span_id"),
        span_kind=_checked(meta, "span_kind"),
        scope=_scope(meta.get("scope")),
        links=tuple(_link(item) for item in _list(meta.get("links"))),
        context=_context(meta),
        thread=_thread(meta.get("thread")),
        task=_task(meta.get("task")),
        start_ns=start_ns,
        status=_status(meta.get("status")),
        events=tuple(_event(item) for item in _list(meta.get("events"))),
        abandoned=_abandoned(meta),
        level=_text(meta.get("level", "")),
        logger=_text(meta.get("logger", "")),
        extra={key: meta[key] for key in meta if key not in READ_KEYS} or EMPTY,
    )


def _kind(meta: dict[str, object]) -> tuple[Kind, Phase | None, str]:
    kind, phase, event = meta["kind"], meta.get("phase"), _text(meta["event"])
    if kind not in _KINDS:
        raise RecordError(f"kind {kind!r} is not one of {', '.join(sorted(_KINDS))}")
    if kind != "span":
        return cast("Kind", kind), None, event
    if phase not in _PHASES or not event.endswith(f".{phase}"):
        raise RecordError(f"event {event!r} does not end in its phase {phase!r}")
    return "span", cast("Phase", phase), event.removesuffix(f".{phase}")


def _times(meta: dict[str, object], timestamp: str) -> tuple[int, int]:
    """Return start and time in nanoseconds."""
    time_ns = parse_timestamp(timestamp)
    if "start" not in meta:
        return 0, time_ns
    start_ns = parse_timestamp(_text(meta["start"]))
    return exact_times(start_ns, time_ns, _number(meta.get("duration_ns", time_ns - start_ns)))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"{value!r} is not text")


def _checked(fields: dict[str, object], key: str) -> str:
    value = _text(fields.get(key, ""))
    if _PATTERNS[key].fullmatch(value) is None:
        raise ValueError(f"{key} {value[:80]!r} does not have the right form")
    return value


def _abandoned(meta: dict[str, object]) -> Abandoned | None:
    return cast("Abandoned", _checked(meta, "abandoned")) if "abandoned" in meta else None


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"{value!r} is not a whole number")


def _list(value: object) -> list[dict[str, object]]:
    if value is None:
        return []
    if isinstance(value, list):
        return cast("list[dict[str, object]]", value)
    raise TypeError(f"{value!r} is not a list")


def _object(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    raise TypeError(f"{value!r} is not an object")


def _scope(value: object) -> Scope | None:
    if value is None:
        return None
    fields = _object(value)
    return Scope(
        _text(fields["name"]), _text(fields.get("version", "")), _text(fields.get("schema_url", ""))
    )


def _context(fields: dict[str, object]) -> TraceContext | None:
    is_remote, state = fields.get("remote") is True, _text(fields.get("trace_state", ""))
    return TraceContext(is_remote=is_remote, trace_state=state) if is_remote or state else None


def _thread(value: object) -> ThreadInfo | None:
    if value is None:
        return None
    fields = _object(value)
    return ThreadInfo(_number(fields["id"]), _text(fields["name"]))


def _task(value: object) -> TaskInfo | None:
    if value is None:
        return None
    fields = _object(value)
    return TaskInfo(_number(fields["id"]), _text(fields["name"]))


def _status(value: object) -> Status | None:
    if value is None:
        return None
    fields = _object(value)
    return Status(_checked(fields, "code"), _text(fields.get("description", "")))


def _attributes(fields: dict[str, object]) -> Mapping[str, object]:
    found = fields.get("attributes")
    return EMPTY if found is None else _object(found)


def _link(item: object) -> Link:
    fields = _object(item)
    return Link(
        _checked(fields, "trace_id"),
        _checked(fields, "span_id"),
        _attributes(fields),
        _number(fields.get("dropped", 0)),
        _context(fields),
    )


def _event(item: object) -> SpanEvent:
    fields = _object(item)
    time_ns = parse_timestamp(_text(fields["timestamp"]))
    dropped = _number(fields.get("dropped", 0))
    return SpanEvent(_text(fields["name"]), time_ns, _attributes(fields), dropped)
