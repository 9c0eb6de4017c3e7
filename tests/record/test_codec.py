"""Lines of records: their content, and that reading and writing again changes nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from types import MappingProxyType
from typing import Any, cast

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_ext.errors import RecordError
from otel_ext.record.codec import encode_compat_line, encode_line, encode_line_python
from otel_ext.record.decode import decode_line
from otel_ext.record.model import (
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
)
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.record.schema.validation import validate_line
from tests.record.test_speed import records

ENCODERS = [encode_line, encode_line_python]
PROCESS = Process("b00t-7-1-cafe0001")
START = Record(
    kind="span",
    phase="start",
    name="GET /items",
    time_ns=1_792_000_000_123_456_789,
    seq=41,
    process=PROCESS,
    call_site=CallSite("app/views.py", 12, "items"),
    attributes=MappingProxyType({"user": "ann"}),
    trace_id="0123456789abcdef" * 2,
    span_id="0123456789abcdef",
    parent_span_id="fedcba9876543210",
    span_kind="server",
    scope=Scope("app", "1.4"),
    links=(Link("1" * 32, "2" * 16, {"why": "batch"}),),
    thread=ThreadInfo(140, "MainThread"),
    task=TaskInfo(7, "Task-7"),
)
END = START._replace(
    phase="end",
    time_ns=START.time_ns + 1_500,
    seq=42,
    start_ns=START.time_ns,
    status=Status("error", "no luck"),
    events=(SpanEvent("exception", START.time_ns + 7, {"exception.type": "ValueError"}),),
)


@pytest.fixture(params=ENCODERS, ids=["chosen", "python"])
def encode(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - an Encoding
    """Return each of the two encoders."""
    return request.param


def test_start_line_to_the_byte(encode: Any) -> None:  # noqa: ANN401
    """A start line, byte for byte: metadata first, nested, then the user's keys."""
    assert encode(START) == (
        b'{"__tracer_meta__":{"timestamp":"2026-10-14T17:46:40.123456Z",'
        b'"event":"GET /items.start",'
        b'"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef",'
        b'"file":"app/views.py","line":12,"function":"items",'
        b'"provisional":true,"version":2,"kind":"span","phase":"start","seq":41,'
        b'"process":"b00t-7-1-cafe0001","parent_span_id":"fedcba9876543210",'
        b'"span_kind":"server","scope":{"name":"app","version":"1.4"},'
        b'"links":[{"trace_id":"11111111111111111111111111111111","span_id":"2222222222222222",'
        b'"attributes":{"why":"batch"}}],'
        b'"thread":{"id":140,"name":"MainThread"},"task":{"id":7,"name":"Task-7"}},'
        b'"user":"ann"}\n'
    )


def test_end_line_to_the_byte(encode: Any) -> None:  # noqa: ANN401
    """An end line has start, exact duration, status and events, and is not provisional."""
    text = encode(END).decode()
    assert '"provisional"' not in text
    assert text.endswith(
        '"start":"2026-10-14T17:46:40.123456Z","duration_ns":1500,'
        '"status":{"code":"error","description":"no luck"},'
        '"events":[{"name":"exception","timestamp":"2026-10-14T17:46:40.123456Z",'
        '"attributes":{"exception.type":"ValueError"}}]},"user":"ann"}\n'
    )


def test_reading_gives_the_record_back(encode: Any) -> None:  # noqa: ANN401
    """All fields come back; times to the microsecond that is written, durations exactly."""
    got = decode_line(encode(END))
    assert got.time_ns - got.start_ns == 1_500
    cut = END.events[0]._replace(time_ns=END.events[0].time_ns // 1000 * 1000)
    assert got._replace(time_ns=END.time_ns, start_ns=END.start_ns) == END._replace(events=(cut,))


@given(records)
@example(START)
@example(END)
def test_reading_and_writing_again_gives_the_same_bytes(record: Record) -> None:
    """A record read from its line has the same line again, whatever it holds."""
    line = encode_line(record)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert b"\0" not in line
    assert len(line) <= MAX_LINE_BYTES
    assert encode_line(decode_line(line)) == line


@given(records)
def test_any_reader_of_json_reads_the_line(record: Record) -> None:
    """The standard library's reader and a strict one agree on the line."""
    line = encode_line(record)
    assert orjson.loads(line) == json.loads(line)
    assert list(json.loads(line))[0] == META_KEY  # noqa: RUF015 - the order is what is tested


@given(records)
def test_compat_line_is_the_line_with_a_timestamp_before_it(record: Record) -> None:
    """Compat mode adds one key and nothing else; the user's own is not changed."""
    plain, compat = encode_line(record), encode_compat_line(record)
    if "timestamp" in record.attributes:
        assert compat == plain
        return
    added = json.loads(plain)[META_KEY]["timestamp"]
    assert compat == b'{"timestamp":"' + added.encode() + b'",' + plain[1:]
    assert len(compat) <= MAX_LINE_BYTES


@given(records)
def test_compat_line_reads_like_the_plain_one(record: Record) -> None:
    """A reader gets the same record from both modes."""
    assert encode_line(decode_line(encode_compat_line(record))) == encode_line(record)


def test_user_timestamp_that_differs_is_kept() -> None:
    """A `timestamp` of the user's own comes back as an attribute."""
    record = START._replace(attributes={"timestamp": "yesterday"})
    assert decode_line(encode_compat_line(record)).attributes == {"timestamp": "yesterday"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), '"NaN"'),
        (float("inf"), '"Infinity"'),
        (float("-inf"), '"-Infinity"'),
        (b"\x00\xff", '"AP8="'),
        (2**64, '"18446744073709551616"'),
        (-(2**63) - 1, '"-9223372036854775809"'),
        (2**64 - 1, "18446744073709551615"),
        ("a\ud800b", '"a�b"'),
        ("x" * 70_000, "…[+"),
        (None, "null"),
        (object, "class 'object'"),
        ({"deep": [1, {"er": (2, 3)}]}, '{"deep":[1,{"er":[2,3]}]}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_awkward_value_loses_only_itself(value: object, text: str, encode: Any) -> None:  # noqa: ANN401
    """An awkward value has its defined encoding wherever it is; its neighbours stay."""
    attributes = {"before": 1, "odd": value, "after": 2}
    record = END._replace(
        attributes=attributes,
        events=(SpanEvent("e", 1, attributes),),
        links=(Link("1" * 32, "2" * 16, attributes),),
    )
    line = encode(record).decode()
    assert line.count(text) == 3
    got = decode_line(line)
    for found in (got.attributes, got.events[0].attributes, got.links[0].attributes):
        assert (list(found), found["before"], found["after"]) == (["before", "odd", "after"], 1, 2)


def test_events_and_links_that_do_not_fit_are_counted(encode: Any) -> None:  # noqa: ANN401
    """The last event, and the last link, count those left out; the line stays valid."""
    events = tuple(SpanEvent(f"e{n}", START.time_ns + n, {"t": "x" * 900}) for n in range(2_000))
    links = tuple(Link(f"{n:032x}", f"{n:016x}", {"t": "y" * 900}) for n in range(1, 2_001))
    line = encode(END._replace(events=events, links=links))
    assert validate_line(line) == []
    got = decode_line(line)
    for found, given_ones, what in ((got.events, events, "events"), (got.links, links, "links")):
        kept = len(found) - 1
        assert 250 < kept < 2_000
        assert [one[0] for one in found[:-1]] == [one[0] for one in given_ones[:kept]]
        assert found[-1].attributes == {"…": f"<left out: {2_000 - kept} {what}>"}
    assert got.events[-1].name == "…"
    assert got.links[-1][:2] == links[len(got.links) - 1][:2]
    assert encode(got) == line


def test_large_attributes_of_one_event_leave_the_others(encode: Any) -> None:  # noqa: ANN401
    """An event or link whose attributes are too large loses only those."""
    large: dict[str, object] = {"body": ["x" * 60_000] * 10}
    record = END._replace(
        events=(SpanEvent("a", 1), SpanEvent("b", 2, large), SpanEvent("c", 3, {"n": 1})),
        links=(Link("1" * 32, "1" * 16, large), Link("2" * 32, "2" * 16, {"n": 1})),
    )
    line = encode(record)
    assert validate_line(line) == []
    got = decode_line(line)
    note = {"body": "<left out: 600031 bytes>"}
    assert [event.attributes for event in got.events] == [{}, note, {"n": 1}]
    assert [event.name for event in got.events] == ["a", "b", "c"]
    assert [link.attributes for link in got.links] == [note, {"n": 1}]


def test_names_that_are_not_texts_are_written_as_text(encode: Any) -> None:  # noqa: ANN401
    """A program may name a span by something that is not a text."""
    record = START._replace(name=cast("str", 5))
    assert decode_line(encode(record)).name == "5"


def test_terminal_codes_are_never_in_a_line() -> None:
    """Escape sequences and direction marks in any text are written as escapes."""
    evil = "\x1b[2J\x7f\x9b\u202e\u2028\ufeff"
    record = END._replace(
        name=evil,
        call_site=CallSite(evil, 1, evil),
        scope=Scope(evil, evil),
        thread=ThreadInfo(1, evil),
        task=TaskInfo(1, evil),
        status=Status("error", evil),
        events=(SpanEvent(evil, 1, {evil: evil}),),
        attributes={evil: [evil, {evil: evil}]},
        logger=evil,
        extra={"note": evil},
    )
    line = encode_line(record).decode()
    assert line[:-1].isprintable()
    assert decode_line(line).name == evil


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[1]", "an object, not list"),
        (b'{"a":1}', "no __tracer_meta__"),
        (b'{"__tracer_meta__":{}}', "version"),
        (b'{"__tracer_meta__":{"version":3}}', "version 3 is not 2"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_line_that_is_not_a_record_is_refused(line: bytes, reason: str) -> None:
    """The error contains the reason."""
    with pytest.raises(RecordError, match=reason):
        decode_line(line)


@pytest.mark.parametrize(
    "key", ["timestamp", "event", "seq", "process", "file", "line", "function"]
)
@pytest.mark.parametrize("value", [None, [], {}, 1.5, True, "\x00", "?" * 300])
def test_wrong_metadata_is_refused_not_crashed_on(key: str, value: object) -> None:
    """Every key with every wrong type of value: a RecordError or a record, nothing else."""
    document = json.loads(encode_line(START))
    document[META_KEY][key] = value
    try:
        record = decode_line(json.dumps(document))
    except RecordError:
        return
    assert encode_line(decode_line(encode_line(record))) == encode_line(record)


@given(st.binary() | st.text())
def test_garbage_is_refused_not_crashed_on(line: bytes | str) -> None:
    """Reading any garbage gives a RecordError."""
    with pytest.raises(RecordError):
        decode_line(line)


@given(st.data())
def test_damaged_line_is_refused_or_read(data: st.DataObject) -> None:
    """A line with any bytes changed never crashes its reader."""
    line = bytearray(encode_line(END))
    for _ in range(data.draw(st.integers(1, 4))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    with suppress(RecordError):
        decode_line(bytes(line))


def test_unknown_metadata_survives() -> None:
    """Keys that a newer writer added are kept and written again."""
    document = json.loads(encode_line(START))
    document[META_KEY]["novelty"] = {"a": [1]}
    got = decode_line(json.dumps(document))
    assert got.extra == {"novelty": {"a": [1]}}
    assert json.loads(encode_line(got)) == document
