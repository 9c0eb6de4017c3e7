"""The validator: its reports on damage, hostile text, and what the codec writes."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.record.model import META_KEY, Link, Process, Record, SpanEvent, Status
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.record.schema.parsing import MAX_LINE_DEPTH
from otel_ext.record.schema.validation import LineReport, validate_line, validate_stream
from tests.record.format_examples import documents, line_of, meta_of

if TYPE_CHECKING:
    from collections.abc import Mapping

GOOD = line_of(documents()[0])
META = f"/{META_KEY}"


def check(data: bytes) -> list[LineReport]:
    """Return the reports of a whole file."""
    return list(validate_stream(io.BytesIO(data)))


def with_meta(**changes: object) -> bytes:
    """Return the first example as a line, with keys of its metadata changed."""
    document = documents()[0]
    meta_of(document).update(changes)
    return line_of(document)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\n", "line: an empty line"),
        (b"  \n", "line: an empty line"),
        (b"\0" * 512 + GOOD, "line: 512 NUL bytes, the first at byte 0"),
        (GOOD[:40] + b"\xff" + GOOD[40:], "line: not UTF-8: byte 0xff at byte 40"),
        (GOOD[:-30] + b"\n", "line: not JSON: "),
        (b"hello\n", "line: not JSON: Expecting value at column 1"),
        (b'{"a": "\x01"}', "line: not JSON: Invalid control character at column 8"),
        (b'{"a": "b', "line: not JSON: Unterminated string at column 7"),
        (b"[1]\n", "line: a record is a JSON object"),
        (b"{}\n", "line: has no __tracer_meta__"),
        (b'{"a":' * 3_000 + b"1" + b"}" * 3_000, "line: nested too deep"),
        (GOOD[:-1] + GOOD, "line: not JSON: Extra data"),
        (GOOD[:-2] + b',"x":NaN}', 'line: not JSON: NaN must be written as the text "NaN"'),
        (GOOD[:-2] + b',"x":-Infinity}', "line: not JSON: -Infinity must be written as the text"),
        (GOOD[:-2] + b',"x":"\\ud800"}', "line: not JSON: no low surrogate in string"),
        (GOOD[:-2] + b',"x":1e999}', "line: not JSON: number is infinity"),
        (GOOD[:-1] + b"\r\n", "line: ends in CR LF"),
        (b"\xef\xbb\xbf" + GOOD, "line: begins with a byte order mark"),
        (GOOD.replace(b'"seq":12', b'"seq":12,"seq":12'), f"{META}/seq: occurs twice"),
        (GOOD.replace(b'"seq":12', b'"seq" : 12,"seq":12'), f"{META}/seq: occurs twice"),
        (GOOD.replace(b'"scope":{', b'"scope":{"name":"x",'), f"{META}/scope: name occurs twice"),
        (GOOD[:-2] + b',"__tracer_meta__":{}}', f"{META}: occurs twice"),
    ],
)
def test_each_kind_of_damage_has_its_message(line: bytes, reason: str) -> None:
    """The first reason names the damage, which distinguishes a crash from a bug."""
    assert validate_line(line)[0].startswith(reason)


BROKEN: list[tuple[dict[str, object], str]] = [
    ({"seq": "7"}, f'{META}/seq: must be an integer from 0 to 2^63-1, is "7"'),
    ({"seq": True}, f"{META}/seq: must be an integer from 0 to 2^63-1, is true"),
    ({"trace_id": "0" * 32}, f"{META}/trace_id: must be 32 lower-case hex digits, not all 0"),
    ({"event": "job.end"}, f'{META}/event: must end in .start, is "job.end"'),
    ({"duration_ns": 5}, f"{META}/duration_ns: does not belong to span.start"),
    ({"new~/key": 5}, f"{META}/new~0~1key: is not a key of version 2"),
    ({"\x1b[31m": 5}, f"{META}/\\u001b[31m: is not a key of version 2"),
    ({"scope": {"version": "1"}}, f"{META}/scope: has no name"),
    ({"scope": "x"}, f'{META}/scope: must be an object, is "x"'),
    ({"links": [{}, 5]}, f"{META}/links/0: has no trace_id"),
    ({"provisional": False}, f"{META}/provisional: must be true, is false"),
    ({"version": 3}, f"{META}/version: must be 2, is 3"),
    ({"kind": ["span"]}, f"{META}/kind: must be one of span, log, event, process"),
    ({"phase": None}, f"{META}/phase: must be one of start, update, end, is null"),
    ({"kind": "process"}, f"{META}/event: must be one of process.start, process.heartbeat"),
    ({"file": "x" * 5_000, "line": "x" * 5_000}, f"{META}/line: must be an integer"),
]


@pytest.mark.parametrize(("changes", "reason"), BROKEN)
def test_a_broken_rule_is_reported_with_its_pointer(
    changes: Mapping[str, object], reason: str
) -> None:
    """A reason begins with a JSON pointer and contains what is allowed there."""
    reasons = validate_line(with_meta(**changes))
    assert reasons[0].startswith(reason)
    assert all(text.isascii() and len(text) < 300 for text in reasons)


def test_a_missing_key_is_named() -> None:
    """The reason names each required key that is missing."""
    document = documents()[0]
    del meta_of(document)["span_id"], meta_of(document)["timestamp"]
    assert validate_line(line_of(document)) == [
        f"{META}: has no timestamp, which span.start must have",
        f"{META}: has no span_id, which span.start must have",
    ]


def test_user_data_is_not_checked() -> None:
    """Any key, any value and duplicate keys are allowed at top level."""
    more = b',"x":{"y":[null,{"seq":1,"seq":2}]},"x":1,"":2,"timestamp":"once","version":"9"}\n'
    assert validate_line(GOOD[:-2] + more) == []


def test_nesting_has_a_limit() -> None:
    """The limit itself is valid, one level more is not."""
    for depth, good in ((MAX_LINE_DEPTH - 1, True), (MAX_LINE_DEPTH, False), (300, False)):
        line = GOOD[:-2] + b',"x":' + b"[" * depth + b"]" * depth + b"}\n"
        assert (validate_line(line) == []) is good


def test_reasons_of_one_line_are_bounded() -> None:
    """A hostile line cannot cause endless reasons."""
    reasons = validate_line(with_meta(**{f"key{n}": n for n in range(5_000)}))
    assert len(reasons) == 21
    assert reasons[-1] == "... and more"


def test_a_hostile_object_does_not_take_quadratic_time() -> None:
    """A line full of duplicate keys is checked within the suite's time limit."""
    keys = b",".join(b'"k%d":1,"k%d":2' % (n, n) for n in range(40_000))
    line = GOOD[:-2] + b',"x":{' + keys + b"}}\n"
    assert len(line) < MAX_LINE_BYTES
    assert validate_line(line) == []


def test_lines_have_numbers_and_offsets() -> None:
    """A report has its line's position, also after damage and empty lines."""
    data = GOOD + b"\n" + b"\0\0{torn\n" + GOOD + GOOD[:50]
    reports = check(data)
    assert [report.number for report in reports] == [1, 3, 4, 5]
    assert [report.offset for report in reports] == [
        0,
        len(GOOD) + 1,
        len(GOOD) + 9,
        2 * len(GOOD) + 9,
    ]
    assert [report.shape for report in reports] == ["span.start", "", "span.start", ""]


def test_the_last_line_must_be_whole() -> None:
    """A torn last line gets one reason; for one that lacks only its newline, it is "whole"."""
    assert check(GOOD + GOOD[:99])[-1].reasons == [
        "line: the file ends here without a newline; the text is torn"
    ]
    assert check(GOOD[:-1])[0].reasons == [
        "line: the file ends here without a newline; the text is whole"
    ]


class Counting(io.RawIOBase):
    """A file that makes its bytes on demand, and keeps the largest size requested."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.most = 0

    def readable(self) -> bool:
        """Return True, as files opened for reading do."""
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return a part of one endless line of NUL bytes."""
        assert size is not None
        assert size > 0
        self.most = max(self.most, size)
        piece = min(size, self.left)
        self.left -= piece
        return b"\0" * piece


def test_an_endless_line_is_not_kept_in_memory() -> None:
    """100 MiB without a newline are skipped in small pieces, and reported."""
    source = Counting(100 << 20)
    reports = list(validate_stream(cast("io.BytesIO", source)))
    assert len(reports) == 1
    assert "longer than 1048576 bytes (104857600 bytes); it begins with NUL bytes" in str(reports)
    assert source.most <= MAX_LINE_BYTES + 1


def test_records_after_a_long_line_are_found() -> None:
    """A line at the limit is valid, one byte more is not, and the next line is intact."""
    room = MAX_LINE_BYTES - len(GOOD) - len(b',"x":""')
    exact = GOOD[:-2] + b',"x":"' + b"y" * room + b'"}\n'
    longer = exact.replace(b"yy", b"yyy", 1)
    assert len(exact) == MAX_LINE_BYTES
    assert [bool(report.reasons) for report in check(exact + longer + GOOD)] == [False, True, False]


@given(st.binary(max_size=200))
def test_nothing_in_a_line_makes_it_raise(line: bytes) -> None:
    """Arbitrary bytes are never a record, and never raise."""
    assert validate_line(line)
    list(validate_stream(io.BytesIO(line)))


@given(st.sampled_from(documents()), st.data())
def test_nothing_in_a_garbled_record_makes_it_raise(
    document: dict[str, object], data: st.DataObject
) -> None:
    """A record with bytes overwritten or cut out is checked; if valid, it can be decoded."""
    line = bytearray(line_of(document))
    start = data.draw(st.integers(0, len(line) - 1))
    length = data.draw(st.integers(0, 8))
    line[start : start + length] = data.draw(st.binary(max_size=8))
    if not validate_line(bytes(line)):
        decode_line(bytes(line))


TEXTS = st.text(st.characters(codec=None), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXTS
    | st.binary(max_size=8)
    | st.builds(object)
    | st.sampled_from([math.nan, "\ud800", "x" * 70_000])
    | st.just(None).map(lambda _: 10**5_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(TEXTS | st.just(META_KEY) | st.just("timestamp"), VALUES, max_size=4)


@given(TEXTS, ATTRIBUTES, ATTRIBUTES, TEXTS, st.sampled_from(["start", "end"]))
def test_what_the_codec_writes_is_valid(
    name: str,
    attributes: dict[str, object],
    more: dict[str, object],
    text: str,
    phase: str,
) -> None:
    """Whatever users put into spans and logs, the lines follow the format."""
    span = Record(
        "span", cast("None", phase), name, 9_000, 1, Process("p"), attributes=attributes,
        trace_id="a" * 32, span_id="b" * 16, links=(Link("c" * 32, "d" * 16, more),),
        span_kind="internal",
    )  # fmt: skip
    if phase == "end":
        events = (SpanEvent(text, 5, more),)
        span = span._replace(start_ns=1, events=events, status=Status("error", text))
    log = Record("log", None, text, 9_000, 2, Process("p"), attributes=attributes, level=name)
    for record in (span, log):
        line = encode_line(record)
        assert validate_line(line) == []
        assert json.loads(line)[META_KEY]["seq"] == record.seq
