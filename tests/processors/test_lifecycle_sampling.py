"""`LifecycleSpanProcessor` records the sampled spans, each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, TraceIdRatioBased
from opentelemetry.trace import SpanContext, TraceFlags

from tests.processors.spans import Recorder, RecordOnly, provider_with, recording
from tests.programs import ROOT, python, succeed

if TYPE_CHECKING:
    from pathlib import Path


def test_unsampled_spans_are_not_recorded() -> None:
    """Nothing is exported for spans that are dropped."""
    recorder = Recorder()
    with provider_with(recorder, sampler=ALWAYS_OFF).get_tracer("t").start_as_current_span("job"):
        pass
    assert recorder.records == []


@pytest.mark.parametrize("wanted", [False, True])
def test_record_only_is_an_option(wanted: bool) -> None:
    """Spans that are recorded but not sampled are exported only with the option."""
    recorder = Recorder()
    provider = provider_with(recorder, record_only=wanted, sampler=RecordOnly())
    provider.get_tracer("t").start_span("job").end()
    assert recorder.events == (["job.start", "job.end"] if wanted else [])


def test_flags_beside_sampled_do_not_matter() -> None:
    """Only the sampled bit decides; the SDK sets the random bit beside it."""
    tracer, recorder = recording()
    for flags, name in ((0x01, "plain"), (0x03, "random"), (0x02, "unsampled")):
        parent = SpanContext(3, 4, is_remote=True, trace_flags=TraceFlags(flags))
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
        tracer.start_span(name, context=context).end()
    assert recorder.events == ["plain.start", "plain.end", "random.start", "random.end"]


DISABLED = """
from tests.processors.spans import RecordOnly, Recorder, provider_with
recorder = Recorder()
provider = provider_with(recorder)
with provider.get_tracer("t").start_as_current_span("job"):
    pass
provider.shutdown()
print(recorder.records, recorder.shutdowns)
"""


def test_sdk_disabled(tmp_path: Path) -> None:
    """With OTEL_SDK_DISABLED nothing is recorded, and nothing fails."""
    variables = {"OTEL_SDK_DISABLED": "true", "PYTHONPATH": str(ROOT)}
    done = succeed(python("-c", DISABLED), tmp_path, **variables)
    assert done.out == "[] 1\n"


@given(
    st.recursive(
        st.lists(st.none(), max_size=2),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=20,
    )
)
def test_every_sampled_span_of_any_tree_has_one_start_and_one_end(tree: list[object]) -> None:
    """Any trace and any sampling give one start, one end and the right parent for each span."""
    recorder = Recorder()
    memory = InMemorySpanExporter()
    provider = provider_with(recorder, sampler=TraceIdRatioBased(0.7))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("t")

    def walk(children: list[object]) -> None:
        with tracer.start_as_current_span("node"):
            for child in children:
                walk(cast("list[object]", child or []))

    walk(tree)
    sampled = memory.get_finished_spans()
    expected = sorted(f"{span.context.span_id:016x}" for span in sampled if span.context)
    for phase in ("start", "end"):
        got = [record for record in recorder.spans if record.phase == phase]
        assert sorted(record.span_id for record in got) == expected
        parents = {record.span_id: record.parent_span_id for record in got}
        for span in sampled:
            parent = f"{span.parent.span_id:016x}" if span.parent else ""
            assert span.context is not None
            assert parents[f"{span.context.span_id:016x}"] == parent
