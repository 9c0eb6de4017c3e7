"""Files of other tools become valid records; what is wrong in them is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_ext.formats.read.convert import Problem, convert
from otel_ext.record.codec import encode_line
from otel_ext.record.schema.validation import validate_line
from tests.commands import call

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record

TRACE = "5b8efff798038103d269b633813fc60c"
OTLP: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "lib", "version": "1"},
                    "spans": [
                        {
                            "traceId": TRACE,
                            "spanId": "eee19b7ec3c1b174",
                            "parentSpanId": "eee19b7ec3c1b173",
                            "name": "pay",
                            "kind": "SPAN_KIND_CLIENT",
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": 1544712661000000500,
                            "attributes": [
                                {"key": "n", "value": {"intValue": "5"}},
                                {
                                    "key": "list",
                                    "value": {"arrayValue": {"values": [{"boolValue": True}]}},
                                },
                                {"key": "code.file.path", "value": {"stringValue": "pay.py"}},
                                {"key": "code.line.number", "value": {"intValue": 7}},
                            ],
                            "status": {"code": 2, "message": "declined"},
                            "events": [{"name": "retry", "timeUnixNano": "1544712660500000000"}],
                            "links": [{"traceId": TRACE, "spanId": "00000000000000aa"}],
                        }
                    ],
                }
            ],
        }
    ]
}
JAEGER: dict[str, Any] = {
    "data": [
        {
            "traceID": TRACE,
            "spans": [
                {
                    "traceID": TRACE,
                    "spanID": "aa",
                    "operationName": "GET /",
                    "references": [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": "ab"}],
                    "startTime": 1544712660000000,
                    "duration": 1500,
                    "tags": [
                        {"key": "span.kind", "type": "string", "value": "server"},
                        {"key": "error", "type": "bool", "value": True},
                        {"key": "http.status_code", "type": "int64", "value": 500},
                    ],
                    "logs": [
                        {"timestamp": 1544712660000100, "fields": [{"key": "event", "value": "x"}]}
                    ],
                    "processID": "p1",
                }
            ],
            "processes": {"p1": {"serviceName": "web", "tags": []}},
        }
    ]
}
FLAT = [
    {
        "timestamp": "2025-10-26T12:34:15.193415Z",
        "event": "job.start",
        "trace_id": TRACE,
        "span_id": "c33604c286773277",
        "file": "a.py",
        "line": 3,
        "function": "f",
        "provisional": True,
        "user": "ann",
    },
    {
        "__tracer_meta__": {
            "timestamp": "2025-10-26T12:34:16.000000Z",
            "event": "stored",
            "trace_id": TRACE,
            "span_id": "c33604c286773277",
            "file": "a.py",
            "line": 9,
            "function": "f",
        },
        "rows": 3,
    },
    {
        "timestamp": "2025-10-26T12:34:17.193415Z",
        "event": "job.end",
        "trace_id": TRACE,
        "span_id": "c33604c286773277",
        "file": "wrap.py",
        "line": 51,
        "function": "wrapper",
    },
]


# Of objects that readers look into.
NAMES = (
    *("resourceSpans", "scopeSpans", "spans", "traceId", "spanId", "name", "attributes", "key"),
    *("value", "arrayValue", "values", "data", "processes", "tags", "startTime", "references"),
    *("context", "start_time", "event", "timestamp", "__tracer_meta__"),
)


def lines_of(*documents: object) -> list[bytes]:
    """Return documents as lines."""
    return [json.dumps(one).encode() + b"\n" for one in documents]


def records(lines: list[bytes]) -> list[Record]:
    """Convert lines, in which nothing may be wrong, into valid records of spans and logs."""
    found: list[Record] = []
    for item in convert(lines):
        assert not isinstance(item, Problem), item
        assert not list(validate_line(encode_line(item)))
        if item.kind != "process":
            found.append(item)
    return found


def test_otlp() -> None:
    """Ids, times, kind, attributes, status, events, links, scope, service and call site."""
    [span] = records(lines_of(OTLP))
    assert (span.name, span.trace_id, span.span_kind) == ("pay", TRACE, "client")
    assert (span.start_ns, span.time_ns) == (1544712660000000000, 1544712661000000500)
    assert (span.attributes["n"], span.attributes["list"]) == (5, [True])
    assert (span.status, span.events[0].name) == (("error", "declined"), "retry")
    assert span.links[0].span_id == "00000000000000aa"
    assert (span.call_site.file, span.call_site.line) == ("pay.py", 7)
    assert span.process.resource == {"service.name": "shop"}


def test_jaeger() -> None:
    """A reference becomes the parent, tags the kind and the status."""
    [span] = records(lines_of(JAEGER))
    assert (span.name, span.span_kind, span.parent_span_id) == ("GET /", "server", f"{0xAB:016x}")
    assert (span.time_ns - span.start_ns, span.status) == (1_500_000, ("error", ""))
    assert span.attributes["http.status_code"] == 500
    assert span.process.resource == {"service.name": "web"}


def test_the_sdks_own_json() -> None:
    """As the console exporter prints it, over many lines."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "sdk"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("outer") as outer:
        outer.set_attribute("list", [1, 2])
        provider.get_tracer("t").start_span("inner").end()
    text = "".join(span.to_json() + "\n" for span in exporter.get_finished_spans())
    inner, found = records(text.encode().splitlines(keepends=True))
    assert (found.name, found.attributes, found.parent_span_id) == ("outer", {"list": [1, 2]}, "")
    assert inner.parent_span_id == found.span_id
    assert found.process.resource["service.name"] == "sdk"


def test_the_flat_first_format() -> None:
    """Starts and ends become spans, the rest logs; with and without the nested metadata."""
    start, log, end = records(lines_of(*FLAT))
    assert (start.kind, start.phase, start.name) == ("span", "start", "job")
    assert start.attributes == {"user": "ann"}
    assert (log.kind, log.name, log.attributes) == ("log", "stored", {"rows": 3})
    assert (end.phase, end.time_ns - end.start_ns) == ("end", 2_000_000_000)
    assert end.call_site.file == "a.py"


def test_what_is_wrong_is_named_and_the_rest_converted(tmp_path: Path) -> None:
    """By file and line; the exit code shows it."""
    file = tmp_path / "mixed.json"
    torn = b'{"resourceSpans":[{"res\n'
    span = {"name": "no ids", "startTimeUnixNano": 1}
    bad = lines_of({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    unknown = lines_of({"what": 1})
    file.write_bytes(b"".join([b"text\n", torn, *lines_of(OTLP), *bad, *unknown, b"\n"]))
    done = call("convert", file, "-o", tmp_path / "out.jsonl")
    assert done.code == 1
    warnings = done.err.splitlines()
    reasons = (
        "not JSON",
        "not JSON: ",
        "the span 'no ids': it has no ids",
        "the format is not known",
    )
    for line, reason in zip(warnings, reasons, strict=False):
        assert reason in line
    assert warnings[-1] == "otel-ext: 2 records written; 4 parts left out"
    assert call("tree", tmp_path / "out.jsonl").out.count(" pay 1.00 s") == 1
    assert call("convert", tmp_path / "missing").code == 2
    assert call("convert", file, "-o", tmp_path / "no" / "such" / "file").code == 2


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(NAMES),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_document_breaks_the_conversion(document: object) -> None:
    """It becomes valid records, or a problem."""
    for item in convert(lines_of(document)):
        if not isinstance(item, Problem):
            assert not list(validate_line(encode_line(item)))


@pytest.mark.parametrize("depth", [100, 5_000])
def test_deep_documents_are_refused_or_cut(depth: int) -> None:
    """Without a crash."""
    text = json.dumps(OTLP)
    head = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"aa","traceId":"'
    deep = '{"arrayValue":{"values":[' * depth + "]}}" * depth
    line = f'{head}{TRACE}","name":"n","attributes":[{{"key":"k","value":{deep}}}]}}]}}]}}]}}\n'
    found = list(convert([line.encode(), text.encode() + b"\n"]))
    assert any(not isinstance(one, Problem) and one.name == "pay" for one in found)
