"""Nothing in a record breaks the store: odd types, numbers, times and texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_ext.analysis.traces.forest import Observed
from otel_ext.search.parse import parse
from otel_ext.store.entries import EntryReader
from otel_ext.store.finding import find_traces
from otel_ext.store.queries import LogQuery, TraceQuery
from otel_ext.store.stored import StoredTraces
from tests.store.records import NOON, log_line, process_line, span_line
from tests.store.stores import PAIRS

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**31, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1e308, -0.0]),
    st.sampled_from(["", "\0", "'; drop table span; --", "a" * 5_000, "ß", "\u2028", '"', "%_*?["]),
    st.sampled_from(["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z", "soon"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.text(max_size=20),
)
LINES = (
    span_line("start", 1),
    span_line("update", 1, seq=2),
    span_line("end", 1, seq=3, error="boom", user="ann"),
    log_line("hello", trace=1, span=1),
    process_line(),
    process_line("process.heartbeat", dropped={"full": 1}),
    process_line("process.end"),
)


@st.composite
def odd_lines(draw: st.DrawFn) -> list[bytes]:
    """Make records of which some fields have odd values."""
    made: list[bytes] = []
    for line in draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=6)):
        record: dict[str, Any] = json.loads(line)
        meta = record["__tracer_meta__"]
        for key in draw(st.lists(st.sampled_from(sorted(meta)), max_size=3)):
            meta[key] = draw(ODD)
        record |= draw(st.dictionaries(st.text(max_size=5), ODD, max_size=3))
        made.append(json.dumps(record).encode())
    return made


@given(lines=odd_lines(), search=st.sampled_from(["boom", "user=ann", "has:x", "dur:>1ms"]))
@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("name", PAIRS)
def test_any_record_is_stored_or_refused(name: str, lines: list[bytes], search: str) -> None:
    """Whatever a record holds, it is stored or refused, and every question is answered."""
    reader = EntryReader()
    for line in lines:
        reader.add(line)
    entries = reader.take()
    with PAIRS[name]() as pair:
        pair.writer.write(entries)
        traces = StoredTraces(pair.store)
        for summary in pair.store.candidates(TraceQuery()):
            for tree in traces.trees_of(summary.trace_id):
                traces.records_of(tree.spans)
        find_traces(pair.store, TraceQuery(parse(search)), Observed(), limit=10)
        assert len(list(pair.store.logs(LogQuery()))) <= len(lines)
        pair.store.operations(0, 2**62)
        pair.store.errors(0, 2**62)
        pair.store.slices(0, 2**62, 2**55)
        pair.store.processes()


@pytest.mark.parametrize(
    ("phase", "odd"),
    [
        ("end", {"start": "9999-12-31T23:59:59.999999Z"}),
        ("end", {"timestamp": "9999-12-31T23:59:59.999999Z"}),
        ("start", {"age_ns": -(2**63)}),
        ("update", {"age_ns": 2**64 - 1}),
    ],
)
@pytest.mark.parametrize("name", PAIRS)
def test_times_beyond_all_clocks(name: str, phase: str, odd: dict[str, object]) -> None:
    """A start or an end centuries away does not keep the other records of its batch out."""
    record = json.loads(span_line(phase, 1, at=NOON))
    record["__tracer_meta__"] |= odd
    with PAIRS[name]() as pair:
        pair.write(json.dumps(record).encode(), span_line("end", 2, seq=2))
        assert pair.store.totals().spans == 2


@pytest.mark.parametrize("name", PAIRS)
def test_ids_in_upper_case_are_other_ids(name: str) -> None:
    """An id in upper-case digits is refused, or ignored; it is not mixed up with a valid one."""
    reader = EntryReader()
    span, log = span_line("end", 0xAB, trace=0xAB), log_line("hello", trace=0xAB)
    child = span_line("end", 1, trace=0xAB, seq=2, parent=0xCD).replace(b"0cd", b"0CD")
    for line in (span, span.replace(b"0ab", b"0AB"), log.replace(b"0ab", b"0AB"), child):
        reader.add(line)
    assert (reader.accepted, reader.refused) == (3, 1)
    with PAIRS[name]() as pair:
        pair.writer.write(reader.take())
        (found,) = pair.store.candidates(TraceQuery())
        assert (found.trace_id, found.spans) == (f"{0xAB:032x}", 2)
        spans = pair.store.spans_of(found.trace_id).spans
        assert {one.parent_span_id for one in spans} == {""}
        assert [one.trace_id for one in pair.store.logs(LogQuery())] == [""]


@given(text=st.text(min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("name", PAIRS)
def test_any_text_is_found(name: str, text: str) -> None:
    """A text in an attribute is found by itself, by its parts, and by key and value."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # JSON of records has no halves of surrogate pairs
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    with PAIRS[name]() as pair:
        pair.write(span_line("end", 1, note=text), span_line("end", 1, trace=2, seq=2))
        for search in (f'"{quoted}"', f'note="{quoted}"', f'note:"{quoted}"'):
            found = find_traces(pair.store, TraceQuery(parse(search)), Observed(), limit=10)
            assert f"{1:032x}" in [one.summary.trace_id for one in found.traces]


@pytest.mark.parametrize("name", PAIRS)
def test_long_values_are_found_by_their_beginning(name: str) -> None:
    """A value of many kilobytes is found by what is indexed of it."""
    value = "".join(f"word{number} " for number in range(3_000))
    with PAIRS[name]() as pair:
        pair.write(span_line("end", 1, prompt=value))
        found = find_traces(pair.store, TraceQuery(parse("word77")), Observed(), limit=10)
        assert len(found.traces) == 1
