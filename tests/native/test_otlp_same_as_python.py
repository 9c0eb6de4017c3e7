"""The compiled encoder of OTLP writes the bytes that the Python one writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_ext._accel import load_speed
from otel_ext.exporters.otlp.encoding.compiled import encode_log, encode_span
from otel_ext.exporters.otlp.encoding.logs import encode_log_python
from otel_ext.exporters.otlp.encoding.spans import encode_span_python
from otel_ext.record.model import (
    CallSite,
    Link,
    Process,
    Record,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
)
from otel_ext.record.sanitise.sanitiser import sanitised

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")

TEXTS = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["", "a" * 127, "b" * 128, "c" * 16_384, "d" * 70_000, "\ud800", "otel_ext.seq", "thread.id"]
)
NUMBERS = st.integers(-(2**64), 2**64) | st.floats() | st.booleans()
SCALARS = TEXTS | NUMBERS | st.binary(max_size=200) | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
ATTRIBUTES = st.dictionaries(TEXTS, VALUES, max_size=5)
TIMES = st.integers(0, 2**64 - 1) | st.sampled_from([-1, 2**64])
TRACE_IDS = st.sampled_from(["", "ab" * 16, "0" * 32, "AB" * 16, "xy" * 16, "ab", "é" * 32])
SPAN_IDS = st.sampled_from(["", "cd" * 8, "0" * 16, "CD" * 8, "  " * 8, "cd"])
RECORDS = st.builds(
    Record,
    kind=st.sampled_from(["span", "log", "event", "process"]),
    phase=st.sampled_from(["start", "update", "end", None]),
    name=TEXTS | st.just("process.heartbeat"),
    time_ns=TIMES,
    seq=st.integers(0, 2**63),
    process=st.builds(Process, TEXTS),
    call_site=st.builds(CallSite, TEXTS | st.just("<unknown>"), st.integers(0, 9), TEXTS),
    attributes=ATTRIBUTES,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=SPAN_IDS,
    span_kind=st.sampled_from(["internal", "server", "client", "producer", "consumer", "", "?"]),
    links=st.lists(st.builds(Link, TRACE_IDS, SPAN_IDS, ATTRIBUTES), max_size=2).map(tuple),
    thread=st.none() | st.builds(ThreadInfo, st.integers(0, 2**63), TEXTS),
    task=st.none() | st.builds(TaskInfo, st.integers(0, 2**63), TEXTS),
    start_ns=TIMES,
    status=st.none() | st.builds(Status, st.sampled_from(["unset", "ok", "error", "?"]), TEXTS),
    events=st.lists(st.builds(SpanEvent, TEXTS, TIMES, ATTRIBUTES), max_size=2).map(tuple),
    abandoned=st.sampled_from([None, "shutdown"]),
    level=TEXTS | st.sampled_from(["INFO", "Warning", "critical", "exceptions"]),
    logger=TEXTS,
    extra=st.sampled_from([{}, {"stalled": True}, {"kind": "x", "resource": {}}]),
)
PLAIN = Record(
    "span",
    "end",
    "work",
    2,
    1,
    Process("p"),
    attributes={"n": [1, None, "x"], "m": {"k": [b"y"]}, "many": [0] * 5_000},
    trace_id="ab" * 16,
    span_id="cd" * 8,
    links=(Link("ab" * 16, "cd" * 8),),
    events=(SpanEvent("exception", 1, {"exception.stacktrace": "s" * 30_000}),),
    status=Status("error", "no"),
)


def outcome(encode: Callable[..., bytes], *arguments: Any) -> object:  # noqa: ANN401 - a record and a time
    """Return the bytes, or the type of the error."""
    try:
        return encode(*arguments)
    except Exception as error:  # noqa: BLE001 - any type is compared
        return type(error)


@given(RECORDS)
@example(PLAIN)
@example(PLAIN._replace(attributes={}, events=(), links=(), abandoned="shutdown"))
@example(PLAIN._replace(kind="process", name="process.heartbeat", events=(), links=()))
def test_any_record_is_encoded_as_by_python(record: Record) -> None:
    """As a span and as a log record, whatever its values, ids, texts and times."""
    safe = sanitised(record)
    assert outcome(encode_span, safe) == outcome(encode_span_python, safe)
    assert outcome(encode_log, safe, 7) == outcome(encode_log_python, safe, 7)


ODD: list[dict[str, object]] = [
    {"links": None},
    {"links": ((1, 2),)},
    {"events": []},
    {"events": (1,)},
    {"status": 3},
    {"status": ("error", None)},
    {"span_kind": None},
    {"parent_span_id": None},
    {"trace_id": b"ab"},
    {"name": None},
    {"level": None},
    {"extra": None},
    {"attributes": None},
    {"attributes": {1: 2}},
    {"time_ns": 1.5},
    {"time_ns": True},
    {"thread": 5},
    {"process": None},
]


@pytest.mark.parametrize("fields", ODD, ids=[",".join(one) for one in ODD])
def test_a_field_of_another_type_is_encoded_as_by_python(fields: dict[str, Any]) -> None:
    """No field is read as another type."""
    record = PLAIN._replace(**fields)
    assert outcome(encode_span, record) == outcome(encode_span_python, record)
    assert outcome(encode_log, record, 7) == outcome(encode_log_python, record, 7)
