"""What is wrong in a document costs as little of it as can be."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.formats.read.convert import Problem, convert
from otel_ext.record.codec import encode_line
from otel_ext.record.schema.validation import validate_line
from tests.formats.test_convert import FLAT, JAEGER, OTLP, TRACE, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.record.model import Record

SDK: dict[str, Any] = {
    "name": "pay",
    "context": {"trace_id": f"0x{TRACE}", "span_id": "0xeee19b7ec3c1b174"},
    "kind": "SpanKind.SERVER",
    "parent_id": "0xeee19b7ec3c1b173",
    "start_time": "2026-01-01T00:00:00.000001Z",
    "end_time": "2026-01-01T00:00:01Z",
    "status": {"status_code": "ERROR", "description": "x"},
    "attributes": {"a": [1, 2], "code.file.path": "a.py", "code.line.number": 3},
    "events": [{"name": "e", "timestamp": "2026-01-01T00:00:00Z", "attributes": {"k": 1}}],
    "links": [{"context": {"trace_id": TRACE, "span_id": "00000000000000aa"}, "attributes": {}}],
    "resource": {"attributes": {"service.name": "s", "process.pid": 7, "host.name": "h"}},
}
SPAN = OTLP["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
DEEP: Any = json.loads("[" * 100 + "1" + "]" * 100)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 5, 2**63, 2**64, 10**30, -(10**30), 1.5, float("nan"), float("inf"), 1e300),
    *("", "--5", "x", "zz", "\ud800", "0" * 32, "ab" * 40, "7uGbfsPBsXQ=", "9" * 400, "\0", "٢"),
    *([], [1], ["x"], [[]], [{}], {}, {"x": 1}, {"": {}}, {"intValue": "--5"}, DEEP),
)


def otlp(*spans: object, **resource: object) -> dict[str, Any]:
    """Return a request with these spans."""
    attributes = [{"key": key, "value": value} for key, value in resource.items()]
    return {
        "resourceSpans": [
            {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": list(spans)}]}
        ]
    }


def converted(*documents: object) -> tuple[list[Record], list[str]]:
    """Return the valid records of spans and logs, and the problems."""
    records: list[Record] = []
    problems: list[str] = []
    for item in convert(lines_of(*documents)):
        if isinstance(item, Problem):
            problems.append(item.reason)
            continue
        assert not list(validate_line(encode_line(item)))
        if item.kind != "process":
            records.append(item)
    return records, problems


def good(number: int) -> dict[str, Any]:
    """Return a good span of OTLP."""
    return {**SPAN, "spanId": f"{number:016x}", "name": f"good {number}"}


@pytest.mark.parametrize(
    "bad",
    [
        {"spanId": "x"},
        {"spanId": ""},
        {"traceId": None},
        {"parentSpanId": "no id"},
        {"startTimeUnixNano": None},
        {"startTimeUnixNano": "0"},
        {"startTimeUnixNano": "soon"},
        {"endTimeUnixNano": "later"},
    ],
)
def test_a_bad_span_costs_only_itself(bad: dict[str, object]) -> None:
    """It is named; those after it are kept."""
    records, problems = converted(otlp(good(1), {**SPAN, **bad}, good(2)))
    assert [one.name for one in records] == ["good 1", "good 2"]
    [problem] = problems
    assert problem.startswith("the span 'pay': ")


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"links": [{"traceId": "zz", "spanId": "yy"}, {}]}, 2),
        ({"events": [{"name": "when"}, "x"]}, 2),
        ({"links": 5, "events": {}}, 2),
        ({"attributes": [{"key": "n", "value": {"intValue": "--5"}}]}, 0),
        ({"status": {"code": 99, "message": {}}, "kind": []}, 0),
    ],
)
def test_a_bad_part_costs_no_span(change: dict[str, object], lost: int) -> None:
    """Links and events that cannot be read are left out and named."""
    records, problems = converted(otlp({**SPAN, **change}, good(1)))
    assert [one.name for one in records] == ["pay", "good 1"]
    assert len(problems) == lost


@pytest.mark.parametrize("value", [{"intValue": "9" * 20}, {"stringValue": "\ud800"}, DEEP])
def test_any_resource_has_its_process(value: object) -> None:
    """Also one that orjson refuses."""
    records, problems = converted(otlp(good(1), x=value))
    assert ([one.name for one in records], problems) == (["good 1"], [])


def test_an_error_tag_may_be_anything() -> None:
    """Of Jaeger's tags; only True and its text are an error."""
    document = copy.deepcopy(JAEGER)
    first = document["data"][0]["spans"][0]
    first["tags"] = [{"key": "error", "value": ["x"]}]
    document["data"][0]["spans"].append({**first, "spanID": "ac", "operationName": "after"})
    records, problems = converted(document)
    assert ([one.name for one in records], problems) == (["GET /", "after"], [])
    assert records[0].status == ("unset", "")


def test_ids_in_base64() -> None:
    """As JSON of protobuf has them; the URL-safe letters too."""
    span = {**SPAN, "traceId": "W47/95gDgQPSabYzgT/GDA==", "spanId": "7uGbfsPBsXQ="}
    again = {**span, "traceId": "W47_95gDgQPSabYzgT_GDA==", "parentSpanId": ""}
    records, problems = converted(otlp(span, again))
    assert not problems
    assert {one.trace_id for one in records} == {"5b8efff798038103d269b633813fc60c"}
    assert {one.span_id for one in records} == {"eee19b7ec3c1b174"}


def paths_in(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each value below a JSON value is."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from paths_in(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(cast("list[object]", value)):
            yield from paths_in(inner, (*path, at))


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:  # noqa: ANN401 - any JSON
    """Draw a document of which some values are others, or missing."""
    document = copy.deepcopy(document)
    for path in draw(st.lists(st.sampled_from(list(paths_in(document))), min_size=1, max_size=3)):
        owner: Any = document
        try:
            for key in path[:-1]:
                owner = owner[key]
            if draw(st.booleans()) or not isinstance(owner, dict):
                owner[path[-1]] = copy.deepcopy(draw(st.sampled_from(VALUES)))
            else:
                del owner[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has removed it
    return document


@given(st.data())
def test_good_spans_are_kept_beside_any_other(data: st.DataObject) -> None:
    """In a document of each format, also if what they share is changed."""
    resource = data.draw(mutated(OTLP["resourceSpans"][0]["resource"]))
    scope = data.draw(mutated({"name": "lib", "version": "1"}))
    spans = [good(1), data.draw(mutated(SPAN)), good(2)]
    request = {"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}
    records, _ = converted({"resourceSpans": [request]})
    assert {"good 1", "good 2"} <= {one.name for one in records}

    span = JAEGER["data"][0]["spans"][0]
    kept = [{**span, "spanID": f"{number}", "operationName": f"good {number}"} for number in (1, 2)]
    processes = data.draw(mutated(JAEGER["data"][0]["processes"]))
    spans = [kept[0], data.draw(mutated(span)), kept[1]]
    records, _ = converted({"data": [{"spans": spans, "processes": processes}]})
    assert {"good 1", "good 2"} <= {one.name for one in records}

    records, _ = converted(SDK, data.draw(mutated(SDK)), {**SDK, "name": "good"})
    assert {"pay", "good"} <= {one.name for one in records}

    line = data.draw(st.sampled_from(FLAT).flatmap(mutated))
    records, _ = converted(*FLAT[:2], line, {**FLAT[1], "rows": 9})
    assert len(records) >= 3
    assert records[-1].attributes == {"rows": 9}


@given(st.sampled_from([OTLP, JAEGER, SDK, *FLAT]).flatmap(mutated))
def test_no_change_of_a_document_is_an_exception(document: object) -> None:
    """It becomes valid records, or problems; the record after it is there."""
    records, _ = converted(document, {**FLAT[1], "rows": 9})
    assert records[-1].attributes == {"rows": 9}


NO_LISTS: list[dict[str, Any]] = [
    {"resourceSpans": 5},
    {"resourceSpans": [5]},
    {"resourceSpans": [{"scopeSpans": "x"}]},
    {"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]},
    {"resourceSpans": [{"scopeSpans": [{"spans": [None]}]}]},
    {"data": [{"spans": 1, "processes": {}}]},
]


@pytest.mark.parametrize("document", NO_LISTS)
def test_lists_that_are_none_are_named(document: object) -> None:
    """What is below them is not lost in silence."""
    records, problems = converted(document)
    assert not records
    assert len(problems) == 1


def test_json_of_python_has_more_numbers() -> None:
    """Such as NaN, which `json.dumps` writes."""
    span = json.loads(json.dumps(SPAN))
    span["attributes"] = [{"key": "n", "value": {"doubleValue": float("nan")}}]
    records, problems = converted(otlp(span))
    assert not problems
    assert b'"NaN"' in encode_line(records[0])
