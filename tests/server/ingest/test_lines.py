"""Lines of records that are received are checked one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.record.codec import encode_compat_line, encode_line
from otel_ext.record.decode import decode_line
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.record.schema.validation import validate_line
from otel_ext.server.ingest.limits import IngestLimits
from otel_ext.server.ingest.lines import read_lines
from tests.examples import examples
from tests.exporters import samples
from tests.record.format_examples import documents, line_of, meta_of

RECORD = samples.end("work", 7, attributes={"n": 1, "user": {"name": "Ünn"}})
LINE = encode_line(RECORD)
EXAMPLES = [line_of(one) for one in documents()]


def changed(**changes: object) -> bytes:
    """Return a line with other metadata; a key without a value is removed."""
    document: dict[str, Any] = json.loads(LINE)
    meta = {**document["__tracer_meta__"], **changes}
    document["__tracer_meta__"] = {key: one for key, one in meta.items() if one is not None}
    return line_of(document)


@pytest.mark.parametrize("line", [*EXAMPLES, LINE, encode_line(samples.log())])
def test_a_valid_line_is_returned(line: bytes) -> None:
    """As it is, but for the second timestamp of compat mode."""
    result = read_lines(line)
    assert (result.records, result.rejected, result.reasons) == (1, 0, "")
    assert (result.lines == line) is line.startswith(b'{"__tracer_meta__":')
    assert decode_line(result.lines) == decode_line(line)


@pytest.mark.parametrize(
    "line",
    [
        LINE.removesuffix(b"\n"),
        LINE.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + LINE,
        LINE.replace(b":", b": ", 1),
        b'{"n":1,' + LINE[1:].replace(b'"n":1,', b""),
        LINE.replace(b"\xc3\x9c", rb"\u00dc"),
        encode_compat_line(RECORD),
        json.dumps(json.loads(LINE), sort_keys=True).encode() + b"\n",
    ],
)
def test_a_line_of_another_writer_is_written_as_ours(line: bytes) -> None:
    """With other spaces, escapes, order of keys or ends of lines, the record is the same."""
    result = read_lines(line)
    assert (result.records, result.rejected) == (1, 0)
    assert json.loads(result.lines) == json.loads(LINE)
    assert result.lines.startswith(b'{"__tracer_meta__":{"timestamp":"')
    assert result.lines.count(b"\n") == 1


def test_characters_that_control_a_terminal_are_escaped() -> None:
    """A file of received records is as safe to print as any other."""
    line = LINE.replace(b"\xc3\x9cnn", "\x9b31m\x7f\u202e".encode())
    result = read_lines(line)
    assert rb"\u009b31m\u007f\u202e" in result.lines
    assert json.loads(result.lines) == json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        changed(later={"a": 1}),
        changed(thread={"id": 1, "name": "T", "cpu": 3}),
        line_of({"__tracer_meta__": {**meta_of(documents()[-3]), "event": "process.gc"}}),
    ],
)
def test_what_a_later_release_adds_is_kept(line: bytes) -> None:
    """Its keys, and its events of processes: readers ignore them."""
    result = read_lines(line)
    assert (result.lines, result.rejected) == (line, 0)
    assert validate_line(line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"user": "ann"}\n', "has no __tracer_meta__"),
        (b"hello\n", "not JSON"),
        (b"[]\n", "a record is a JSON object"),
        (b'{"__tracer_meta__": 5}\n', "must be an object"),
        (LINE[:-9], "not JSON"),
        (LINE.replace(b'"n":1', b'"n":NaN'), "not JSON: NaN"),
        (LINE.replace(b'"n":1', rb'"n":"\ud800"'), "not JSON"),
        (LINE.replace(b"\xc3\x9c", b"\xff"), "not UTF-8"),
        (LINE.replace(b'"seq":7', b'"seq":7,"seq":8'), "occurs twice"),
        (LINE.replace(b'"n":1', b'"__tracer_meta__":{"n":1}'), "occurs twice"),
        (changed(version=3), "/__tracer_meta__/version: must be 2"),
        (changed(seq=-1), "/__tracer_meta__/seq: must be"),
        (changed(seq=True), "/__tracer_meta__/seq: must be"),
        (changed(seq=None), "has no seq"),
        (changed(seq=2**63), "/__tracer_meta__/seq: must be"),
        (changed(process="../x"), "/__tracer_meta__/process: must be"),
        (changed(process="x" * 129), "/__tracer_meta__/process: must be"),
        (changed(trace_id="0" * 32), "/__tracer_meta__/trace_id: must be"),
        (changed(span_id="A" * 16), "/__tracer_meta__/span_id: must be"),
        (changed(parent_span_id=""), "/__tracer_meta__/parent_span_id: must be"),
        (changed(timestamp="2026-02-30T00:00:00.000000Z"), "/__tracer_meta__/timestamp: must be"),
        (changed(event="work"), "/__tracer_meta__/event: must end in .end"),
        (changed(kind="dream"), "/__tracer_meta__/kind: must be"),
        (changed(phase=None), "has no phase"),
        (changed(start=None), "has no start"),
        (changed(status={}), "/__tracer_meta__/status: has no code"),
        (changed(links=[5]), "/__tracer_meta__/links/0: must be an object"),
        (
            LINE.replace(b'"n":1', b'"n":' + b"[" * 72 + b"]" * 72),
            "nests deeper than 72 levels",
        ),
        (LINE.replace(b'"n":1', b'"n":' + b"[" * 5_000 + b"]" * 5_000), "too deep"),
        (LINE.replace(b'"n":1', b'"n":"' + b"x" * MAX_LINE_BYTES + b'"'), "longer than 1048576"),
    ],
)
def test_a_line_that_is_not_a_record_is_rejected(line: bytes, reason: str) -> None:
    """With the number of the line and what is wrong; the lines around it are kept."""
    result = read_lines(LINE + line.rstrip(b"\n") + b"\n" + LINE)
    assert (result.lines, result.records, result.rejected) == (LINE * 2, 2, 1)
    assert result.reasons.startswith("line 2: ")
    assert reason in result.reasons
    assert len(result.reasons) < 250


def test_empty_lines_are_skipped() -> None:
    """A writer that goes on after a torn line leaves one."""
    result = read_lines(b"\n" + LINE + b"\r\n  \n" + LINE)
    assert (result.lines, result.records, result.rejected) == (LINE * 2, 2, 0)
    assert read_lines(b"") == (b"", 0, 0, "")


def test_lines_beyond_the_limit_are_rejected() -> None:
    """And counted."""
    result = read_lines(LINE * 3 + LINE[:-1], IngestLimits(lines=2))
    assert (result.lines, result.records, result.rejected) == (LINE * 2, 2, 2)
    assert result.reasons == "a request may have 2 lines"


def test_lines_of_other_writers_may_have_less() -> None:
    """Writing them again takes time; lines as ours do not count."""
    other = LINE.replace(b":", b": ", 1)
    limits = IngestLimits(foreign_values=other.count(b"{") + other.count(b",") + 9)
    result = read_lines(other + other + LINE + b"{}", limits)
    assert (result.records, result.rejected) == (2, 2)
    assert result.reasons.startswith("too many values in lines")


def test_few_reasons_stand_for_many() -> None:
    """So that an answer stays short."""
    result = read_lines(b"x\n" * 1_000)
    assert (result.records, result.rejected) == (0, 1_000)
    assert result.reasons.endswith("; and 990 more")
    assert len(result.reasons) < 2_500


def test_nesting_within_the_limit_is_kept() -> None:
    """Also with more brackets than levels."""
    line = LINE.replace(b'"n":1', b'"n":' + b"[" * 64 + b"]" * 64 + b',"m":' + b"[[]]".center(9))
    assert (read_lines(line).lines, read_lines(line).rejected) == (line, 0)


@examples(5)
@given(
    st.sampled_from([LINE, *EXAMPLES]),
    st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(0, 3), st.binary(max_size=3)), max_size=4
    ),
)
def test_garbled_lines_are_returned_as_records_or_rejected(
    line: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    """Nothing raises; what is returned is decoded by readers, and accepted as it is."""
    for at, removed, added in changes:
        line = line[:at] + added + line[at + removed :]
    result = read_lines(line + b"\n" + LINE)
    for one in result.lines.splitlines():
        decode_line(one)
    assert result.lines.endswith(LINE)
    assert read_lines(result.lines) == (result.lines, result.records, 0, "")
