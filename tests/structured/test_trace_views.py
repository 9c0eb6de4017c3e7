"""The views of a structured trace: tree, summary and critical path."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from otel_ext.context import Failure
from otel_ext.structured import StructuredTrace
from tests.programs import wait_until

if TYPE_CHECKING:
    from otel_ext.testing import RecordCapture

pytestmark = pytest.mark.usefixtures("records")


def a_trace() -> StructuredTrace:
    """Return a trace with a request of two steps, one of which failed."""
    trace = StructuredTrace()
    with trace.with_span("request", attributes={"n": 1}):
        trace.with_span("parse", lambda: None)
        trace.with_span("resolve", lambda: Failure("no target"))
        with pytest.raises(ValueError, match="no"), trace.with_span("resolve"):
            raise ValueError("no")
    return trace


def test_without_spans_everything_is_empty() -> None:
    """Nothing is divided by nothing."""
    trace = StructuredTrace()
    assert trace.hierarchical_view() == []
    assert trace.critical_path() == []
    summary = trace.performance_summary()
    assert (summary["total_ns"], summary["spans"], summary["operations"]) == (0, 0, [])


def test_the_tree_has_what_the_spans_have() -> None:
    """As plain data, which JSON can represent."""
    trace = a_trace()
    (request,) = trace.hierarchical_view()
    assert json.loads(json.dumps(request)) == request
    children = cast("list[dict[str, Any]]", request["children"])
    assert [(one["operation"], one["status"], one["error"]) for one in children] == [
        ("parse", "success", None),
        ("resolve", "failure", None),
        ("resolve", "error", "ValueError: no"),
    ]
    assert {one["parent_id"] for one in children} == {request["id"]}
    assert request["attributes"] == {"n": 1}


def test_the_summary_counts_and_adds_up() -> None:
    """Operations by their total time; self times add up to the whole."""
    trace = a_trace()
    summary = trace.performance_summary()
    counts = [summary[name] for name in ("spans", "active", "failures", "errors", "dropped_spans")]
    assert counts == [4, 0, 1, 1, 0]
    operations = cast("list[dict[str, Any]]", summary["operations"])
    assert (operations[0]["operation"], operations[0]["count"]) == ("request", 1)
    assert {one["operation"]: one["errors"] for one in operations}["resolve"] == 2
    assert sum(one["self_ns"] for one in operations) == summary["total_ns"]
    assert summary["total_ns"] == trace.spans[0].duration_ns


def test_the_critical_path_has_no_gaps() -> None:
    """It begins and ends with the longest root, also while spans are active."""
    trace = StructuredTrace()
    trace.with_span("short", lambda: None)
    with trace.with_span("long"), trace.with_span("step"):
        # On a busy machine `short` may have taken longer than this block so far.
        wait_until(lambda: trace.critical_path()[0]["operation"] == "long", "the longest root")
        path = trace.critical_path()
        assert {one["operation"] for one in path} == {"long", "step"}
        assert any(one["is_open"] for one in path)
        assert trace.performance_summary()["active"] == 2
    ended = trace.critical_path()
    for before, after in pairwise(ended):
        ends_at = cast("int", before["start_ns"]) + cast("int", before["duration_ns"])
        assert ends_at == after["start_ns"]
    assert sum(cast("int", one["duration_ns"]) for one in ended) == trace.spans[1].duration_ns
    assert not any(one["is_open"] for one in ended)


@pytest.mark.usefixtures("untraced")  # it takes long enough without
def test_a_long_chain_needs_no_recursion(records: RecordCapture) -> None:
    """Each span within the one before."""
    del records
    trace = StructuredTrace(max_spans=1_200)
    spans = [trace.start_span(f"step {number}") for number in range(1_200)]
    for span in reversed(spans):
        trace.end_span(span)
    assert len(trace.hierarchical_view()) == 1
    assert trace.performance_summary()["spans"] == 1_200


def test_attributes_are_what_json_can_represent() -> None:
    """Also those that are not, such as bytes."""
    trace = StructuredTrace()
    with trace.with_span("request", attributes={"body": b"x", "sizes": (1, 2)}):
        pass
    [request] = json.loads(json.dumps(trace.hierarchical_view()))
    assert request["attributes"]["sizes"] == [1, 2]
    assert isinstance(request["attributes"]["body"], str)
