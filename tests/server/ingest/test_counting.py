"""What would take too much memory is rejected before objects are made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otel_ext.server.ingest.limits import DEFAULT_LIMITS
from otel_ext.server.ingest.otlp.traces import read_traces, read_traces_json
from otel_ext.server.ingest.result import MalformedError
from tests.server.ingest.otlp_requests import numbers, span, spans_request

FEW = replace(DEFAULT_LIMITS, record_fields=40_000, fields=50_000)


@pytest.mark.parametrize("field", ["attributes", "events", "links"])
def test_a_span_with_too_many_parts_is_rejected(field: str) -> None:
    """The others are kept."""
    large = span()
    for _ in range(45_000):
        getattr(large, field).add()
    request = spans_request([large, span()])
    result = read_traces(request.SerializeToString(), numbers(), FEW)
    assert (result.records, result.rejected) == (1, 1)
    assert result.reasons == "a span: it has too many values"


def test_a_resource_with_too_many_parts_costs_its_spans() -> None:
    """It has no limit of its own in OTLP."""
    request = spans_request([span(), span()])
    for _ in range(45_000):
        request.resource_spans[0].resource.attributes.add()
    result = read_traces(request.SerializeToString(), numbers(), FEW)
    assert (result.records, result.rejected) == (0, 2)


def test_many_large_spans_share_a_limit() -> None:
    """Those beyond it are rejected; small ones are not counted."""
    large = span()
    for _ in range(35_000):
        large.links.add()
    request = spans_request([large, large, span()])
    result = read_traces(request.SerializeToString(), numbers(), FEW)
    assert "the request has too many values" in result.reasons
    assert (result.records, result.rejected) == (2, 1)


def test_the_lines_of_a_request_are_bounded() -> None:
    """Control characters take six times as many bytes in JSON."""
    request = spans_request([span(name="\x01" * 1_000) for _ in range(10)])
    limits = replace(DEFAULT_LIMITS, line_bytes=20_000)
    result = read_traces(request.SerializeToString(), numbers(), limits)
    assert len(result.lines) <= 20_000
    assert result.records + result.rejected == 10
    assert result.rejected
    assert "20000 bytes as JSON" in result.reasons


def test_large_json_is_refused() -> None:
    """Its texts may take four times their bytes."""
    limits = replace(DEFAULT_LIMITS, json_bytes=10)
    with pytest.raises(MalformedError, match="more than 10 bytes"):
        read_traces_json(b'{"resourceSpans":[]}', numbers(), limits)
