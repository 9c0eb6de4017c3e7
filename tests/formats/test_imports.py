"""What each format says is in the records: parents, times, levels, processes."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.formats.read.convert import Problem, convert
from otel_ext.record.codec import encode_line
from tests.formats.test_bad_parts import SDK, SPAN, converted, otlp
from tests.formats.test_convert import FLAT, JAEGER, OTLP, TRACE, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.record.model import Record

CHILD = {"refType": "CHILD_OF", "traceID": TRACE, "spanID": "1"}
FOLLOWS = {"refType": "FOLLOWS_FROM", "traceID": TRACE, "spanID": "2"}
FAR = {"refType": "CHILD_OF", "traceID": "ff", "spanID": "3"}
LATER = {"refType": "CHILD_OF", "traceID": TRACE, "spanID": "4"}


def jaeger(**change: object) -> dict[str, Any]:
    """Return a document of Jaeger with one span, of which something is changed."""
    document = copy.deepcopy(JAEGER)
    document["data"][0]["spans"][0].update(change)
    return document


def flat(**fields: object) -> dict[str, Any]:
    """Return a line of the flat format."""
    ids = {"trace_id": "a1", "span_id": "b1"}
    return {"timestamp": "2025-03-01T10:00:00Z", "event": "job.start", **ids, **fields}


@pytest.mark.parametrize(
    ("references", "parent", "links"),
    [
        ([FOLLOWS], 2, []),
        ([FOLLOWS, CHILD], 1, [2]),
        ([CHILD, LATER, FOLLOWS], 1, [4, 2]),
        ([FAR], 0, [3]),
        ([FAR, FOLLOWS], 2, [3]),
        ([], 0, []),
    ],
)
def test_jaegers_parent(references: list[object], parent: int, links: list[int]) -> None:
    """The first CHILD_OF of the same trace, else the first FOLLOWS_FROM of it."""
    [span], problems = converted(jaeger(references=references))
    assert not problems
    assert span.parent_span_id == (f"{parent:016x}" if parent else "")
    assert [int(link.span_id, 16) for link in span.links] == links


def test_jaegers_times() -> None:
    """Floats are the same as integers."""
    [span], _ = converted(jaeger(startTime=1544712660000000.0, duration=1.5))
    assert (span.start_ns, span.time_ns - span.start_ns) == (1_544_712_660_000_000_000, 1_500)


@pytest.mark.parametrize(
    "document",
    [
        jaeger(startTime=None),
        jaeger(startTime="soon"),
        jaeger(duration=None),
        jaeger(duration=-1),
        otlp({key: value for key, value in SPAN.items() if key != "startTimeUnixNano"}),
        {**SDK, "start_time": "soon"},
        {**SDK, "start_time": None},
        {**SDK, "end_time": "later"},
        flat(timestamp="yesterday"),
        flat(timestamp=None),
    ],
)
def test_no_time_becomes_1970(document: object) -> None:
    """It is a problem of that span or line."""
    records, problems = converted(document)
    assert (records, len(problems)) == ([], 1)


def test_times_that_are_numbers_or_naive() -> None:
    """Are accepted: a number of OTLP may be a float, a text without an offset is in UTC."""
    [span], _ = converted(otlp({**SPAN, "startTimeUnixNano": 1.5447126595e18}))
    assert span.start_ns == 1_544_712_659_500_000_000
    [span], _ = converted({**SDK, "start_time": 1_767_225_600, "end_time": "2026-01-01T00:00:01"})
    assert (span.start_ns, span.time_ns) == (1_767_225_600_000_000_000, 1_767_225_601_000_000_000)
    records, _ = converted(flat(timestamp=1740823200.5), flat(timestamp="2025-03-01T10:00:00.5"))
    assert {one.time_ns for one in records} == {1_740_823_200_500_000_000}


def test_spans_without_an_end_stay_open() -> None:
    """In OTLP a missing end and 0 are the same."""
    open_ = {key: value for key, value in SPAN.items() if key != "endTimeUnixNano"}
    records, problems = converted(otlp(open_, {**SPAN, "endTimeUnixNano": "0"}))
    assert ([one.phase for one in records], problems) == (["start", "start"], [])


def test_otlp_before_scopes() -> None:
    """Its spans are below `instrumentationLibrarySpans`."""
    group = {"instrumentationLibrary": {"name": "lib", "version": "1"}, "spans": [SPAN]}
    records, _ = converted({"resourceSpans": [{"instrumentationLibrarySpans": [group]}]})
    assert [one.scope and one.scope.name for one in records] == ["lib"]


def test_documents_in_arrays() -> None:
    """An array of requests, and one of spans."""
    records, problems = converted([OTLP, SDK], [jaeger()])
    assert ([one.name for one in records], problems) == (["pay", "pay", "GET /"], [])


def test_an_array_of_several_lines_after_a_byte_order_mark() -> None:
    """Also if nothing but the mark is before a document in one line."""
    for text in (json.dumps([OTLP, SDK], indent=2), json.dumps(OTLP)):
        lines = f"\ufeff{text}\n".encode().splitlines(keepends=True)
        found = list(convert(lines))
        assert not [one for one in found if isinstance(one, Problem)]
        assert "pay" in {one.name for one in found if not isinstance(one, Problem)}


@pytest.mark.parametrize("nested", [False, True])
def test_the_users_version_is_an_attribute(nested: bool) -> None:
    """Only metadata under its own key has a version of the format."""
    line = {"__tracer_meta__": flat(), "version": "9"} if nested else flat(version="9")
    [span], problems = converted(line)
    assert (span.attributes, problems) == ({"version": "9"}, [])
    meta = {**flat(), "version": 2}
    records, problems = converted({"__tracer_meta__": meta})
    assert (records, problems) == ([], ["a record already. Commands read it as it is."])


def test_keys_of_other_formats_are_the_users() -> None:
    """In a line of the flat format."""
    own: dict[str, Any] = {
        "resourceSpans": [],
        "context": {},
        "start_time": 1,
        "data": [{"spans": 1}],
    }
    [span], problems = converted(flat(**own))
    assert (span.attributes, problems) == (own, [])


def test_level_logger_and_line_of_flat_spans() -> None:
    """A record of a span has no level, so it is an attribute; a line may be a text."""
    line = flat(level="warning", logger="shop", file="a.py", line="12", function="f")
    [span], _ = converted(line)
    assert span.attributes == {"level": "warning", "logger": "shop"}
    assert (span.call_site.file, span.call_site.line, span.call_site.function) == ("a.py", 12, "f")
    [log], _ = converted({**line, "event": "stored"})
    assert (log.level, log.logger, log.attributes) == ("warning", "shop", {})


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"file": "a.py"}, {}),
        ({"file": "a.py", "line": "last"}, {"line": "last"}),
        ({"line": 3, "function": "f"}, {"line": 3, "function": "f"}),
        ({"file": 1, "line": -3}, {"file": 1, "line": -3}),
        ({"event": "stored", "span_id": ""}, {"trace_id": "a1"}),
    ],
)
def test_metadata_without_a_place_is_kept(fields: dict[str, Any], kept: dict[str, Any]) -> None:
    """As attributes."""
    for line in (flat(**fields), {"__tracer_meta__": flat(**fields)}):
        [record], problems = converted(line)
        assert (record.attributes, problems) == (kept, [])


def test_the_end_of_a_flat_span_has_all_of_it() -> None:
    """Readers take a span's attributes from its end."""
    records, _ = converted(flat(user="ann", n=1), flat(event="job.end", n=2, error="no cover"))
    assert records[1].attributes == {"user": "ann", "n": 2, "error": "no cover"}
    assert records[1].status == ("error", "")
    records, _ = converted(flat(error="before"), flat(event="job.end", error=None))
    assert records[1].status == ("unset", "")


def test_a_users_timestamp_is_kept() -> None:
    """Beside nested metadata; that of compat mode is the record's own."""
    meta = flat()
    records, _ = converted(
        {"__tracer_meta__": meta, "timestamp": "mine"},
        {"__tracer_meta__": meta, "timestamp": meta["timestamp"]},
    )
    assert [one.attributes for one in records] == [{"timestamp": "mine"}, {}]


def lines_in(documents: Iterable[object]) -> list[bytes]:
    """Return the lines of the records of documents."""
    found: list[bytes] = []
    for item in convert(lines_of(*documents)):
        assert not isinstance(item, Problem)
        found.append(encode_line(item))
    return found


def named(*documents: object) -> set[tuple[str, int]]:
    """Return the processes and numbers of the records of an input."""
    records: list[Record] = []
    for item in convert(lines_of(*documents)):
        assert not isinstance(item, Problem)
        records.append(item)
    assert len({(one.process.id, one.seq) for one in records}) == len(records)
    return {(one.process.id, one.seq) for one in records}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (FLAT, [FLAT[0], {**FLAT[1], "rows": 4}]),
        ([otlp(SPAN)], [otlp({**SPAN, "spanId": "00000000000000ff"})]),
        ([jaeger()], [jaeger(spanID="ff")]),
        ([SDK], [{**SDK, "name": "other"}]),
    ],
)
def test_records_of_two_inputs_differ(one: list[object], other: list[object]) -> None:
    """By process and number, since readers take records with the same two for one."""
    assert not named(*one) & named(*other)


@pytest.mark.parametrize("documents", [FLAT, [OTLP], [JAEGER], [SDK], [OTLP, JAEGER, SDK, *FLAT]])
def test_converting_is_idempotent(documents: list[object]) -> None:
    """The same input becomes the same bytes, whenever it is converted."""
    assert lines_in(documents) == lines_in(documents)


def test_services_of_one_input_are_processes() -> None:
    """Each with its own numbers."""
    other = copy.deepcopy(OTLP)
    other["resourceSpans"][0]["resource"]["attributes"][0]["value"] = {"stringValue": "other"}
    assert len({process for process, _ in named(OTLP, other, OTLP, *FLAT)}) == 3
