"""A span is encoded as the stock exporter encodes it; only what it cannot encode differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import LOGS, SPANS, RequestCodec
from otel_ext.exporters.sdk_adapters import span_from_record
from otel_ext.record.model import Link, Process, Record, Scope, SpanEvent, Status
from tests.examples import examples
from tests.exporters import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

PROCESS = Process("b0-7-1-00000000", resource={"service.name": "shop", "ports": (1, 2)})
OTHER = Process("b0-8-1-00000000", resource={"service.name": "stock"})
SAMPLE = samples.end("work", 1, process=PROCESS)


def ours(records: Sequence[Record], signal: str = SPANS, encoding: str = "events") -> bytes:
    """Return the request with the records."""
    request = RequestCodec(ENCODINGS[encoding]).encode(signal, records)
    assert request is not None
    assert request.records == len(records)
    return request.body


def stock(records: Sequence[Record]) -> ExportTraceServiceRequest:
    """Return the request that the stock exporter sends for the same spans."""
    resources = {one.process.id: Resource(dict(one.process.resource)) for one in records}  # type: ignore[arg-type]
    return encode_spans([span_from_record(one, resources[one.process.id]) for one in records])


def without_processes(body: bytes) -> tuple[ExportTraceServiceRequest, list[str]]:
    """Return a request of ours without the attributes that name processes, and these."""
    request = ExportTraceServiceRequest.FromString(body)
    processes: list[str] = []
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            (pair,) = of_scope.scope.attributes
            assert pair.key == "otel_ext.process"
            processes.append(pair.value.string_value)
            of_scope.scope.ClearField("attributes")
    return request, processes


def assert_same(*records: Record) -> None:
    """Check that both encode the spans alike, apart from the id of their process."""
    assert without_processes(ours(records))[0] == stock(records)


def test_the_scope_names_the_process_of_its_spans() -> None:
    """So that a receiver can find the process of a span that has no start there."""
    other = SAMPLE._replace(process=OTHER)
    _, processes = without_processes(ours([SAMPLE, other, SAMPLE]))
    assert processes == [PROCESS.id, OTHER.id]


@pytest.mark.parametrize("kind", ["internal", "server", "client", "producer", "consumer", "?", ""])
def test_kinds_are_the_same(kind: str) -> None:
    """Every kind of span; an unknown one is internal."""
    assert_same(SAMPLE._replace(span_kind=kind))


@pytest.mark.parametrize(
    "status",
    [
        None,
        Status("unset"),
        Status("ok"),
        Status("error"),
        Status("error", "no money"),
        Status("?"),
    ],
)
def test_the_status_is_the_same(status: Status | None) -> None:
    """Every code; only an error has a description."""
    assert_same(SAMPLE._replace(status=status))


@pytest.mark.parametrize("scope", [None, Scope("lib"), Scope("lib", "1.2")])
@pytest.mark.parametrize("parent", ["", "00000000000000ff"])
def test_scope_and_parent_are_the_same(scope: Scope | None, parent: str) -> None:
    """Both may be absent."""
    assert_same(SAMPLE._replace(scope=scope, parent_span_id=parent))


def test_events_and_links_are_the_same() -> None:
    """With and without attributes."""
    assert_same(
        SAMPLE._replace(
            events=(SpanEvent("said", 5, {"what": "x", "times": 2}), SpanEvent("went", 6)),
            links=(Link("ab" * 16, "cd" * 8, {"why": "y"}), Link("12" * 16, "34" * 8)),
        )
    )


def test_spans_are_grouped_alike() -> None:
    """Of several processes and scopes, each once, in the order of their first span."""
    scopes = [Scope("a"), Scope("b", "1"), None]
    processes = [PROCESS, OTHER]
    assert_same(
        *(
            samples.end("work", n + 1, process=processes[n % 2], scope=scopes[n % 3])
            for n in range(20)
        )
    )


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCALARS = (
    TEXTS
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=30)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(TEXTS, SCALARS, max_size=4)
ATTRIBUTES = st.dictionaries(TEXTS, VALUES, max_size=6)


@examples(2)
@given(
    TEXTS,
    ATTRIBUTES,
    st.lists(st.builds(SpanEvent, TEXTS, st.integers(0, 2**63), ATTRIBUTES), max_size=3),
    st.integers(0, 2**64 - 1),
)
def test_any_span_is_the_same(
    name: str, attributes: dict[str, object], events: list[SpanEvent], moment: int
) -> None:
    """Any names, values and times, as far as the stock encoder can encode them."""
    assert_same(
        SAMPLE._replace(name=name, attributes=attributes, events=tuple(events), start_ns=moment)
    )


def test_a_record_that_cannot_be_encoded_is_left_out_and_counted() -> None:
    """With an id or a time that OTLP cannot hold; None if nothing is left."""
    counted = samples.Counted()
    wrong = [
        SAMPLE._replace(span_id="not hex"),
        SAMPLE._replace(trace_id="ab"),
        SAMPLE._replace(start_ns=-1),
    ]
    encoder = RequestCodec(ENCODINGS["events"])
    request = encoder.encode(SPANS, [wrong[0], SAMPLE, *wrong[1:]])
    assert request is not None
    assert request.records == 1
    assert without_processes(request.body)[0] == stock([SAMPLE])
    assert counted("remote.not_encoded") == 3
    assert encoder.encode(SPANS, wrong) is None
    assert encoder.encode(LOGS, [samples.log(trace_id="?")]) is None


def test_a_log_record_is_complete() -> None:
    """Name, body, severity, times and ids are those of the record."""
    record = samples.start("work", 7, level="warning", process=PROCESS)
    decoded = ExportLogsServiceRequest.FromString(ours([record], LOGS))
    (of_resource,) = decoded.resource_logs
    (of_scope,) = of_resource.scope_logs
    (log,) = of_scope.log_records
    assert of_resource.resource == stock([SAMPLE]).resource_spans[0].resource
    assert (of_scope.scope.name, of_scope.scope.version) == ("tests", "1.0")
    assert (log.body.string_value, log.severity_text, log.severity_number) == (
        "work.start",
        "warning",
        13,
    )
    assert (log.trace_id.hex(), log.span_id.hex()) == (record.trace_id, record.span_id)
    assert (log.time_unix_nano, log.flags) == (record.time_ns, 1)
    assert log.observed_time_unix_nano > record.time_ns
