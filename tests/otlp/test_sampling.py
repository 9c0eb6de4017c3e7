"""Nothing is sent for what is not sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    Sampler,
    SamplingResult,
)

from otel_ext import configure
from tests.otlp.pipes import sending
from tests.programs import spans_in, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from opentelemetry.context import Context

    from otel_ext.record.model import Record
    from tests.otlp.sink import Sink


class RecordsOnly(Sampler):
    """Has spans recorded, but not sampled, unless they are called `sampled`."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        *_: object,
        **__: object,
    ) -> SamplingResult:
        """Decide by the name."""
        sampled = name == "sampled"
        return SamplingResult(Decision.RECORD_AND_SAMPLE if sampled else Decision.RECORD_ONLY)

    def get_description(self) -> str:
        """Return the name."""
        return "RecordsOnly"


def test_a_span_that_is_sampled_out_sends_nothing(http_sink: Sink) -> None:
    """Neither start nor end."""
    with (
        sending(ALWAYS_OFF, grace=0.0) as (provider, _),
        provider.get_tracer("t").start_as_current_span("dropped"),
    ):
        provider.force_flush(5_000)
    assert not http_sink.spans
    assert not http_sink.starts()


def test_recorded_spans_that_are_not_sampled_stay_in_the_files(
    http_sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `record_only` the files have them, the collector does not."""
    monkeypatch.setenv("OTEL_EXT_RECORD_ONLY", "true")
    provider = TracerProvider(sampler=RecordsOnly(), shutdown_on_exit=False)
    folder = tmp_path / "traces"
    handle = configure(output=folder, otlp=True, otlp_grace=0, tracer_provider=provider)
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("recorded"), tracer.start_as_current_span("sampled"):
        wait_until(http_sink.starts, "the start of the sampled span arrives")
    handle.shutdown()
    wait_until(lambda: http_sink.named("sampled"), "the sampled span arrives")
    assert len(spans_in(folder, "recorded")) == 2
    assert [start.body for start in http_sink.starts()] == ["sampled.start"]
    assert [span.name for span in http_sink.spans] == ["sampled"]


def test_a_tail_decision_is_waited_for(http_sink: Sink) -> None:
    """With the hook `defer` nothing leaves before the trace is known to be kept."""
    kept: set[str] = set()
    dropped: set[str] = set()

    def defer(record: Record) -> bool | None:
        if record.trace_id in kept:
            return True
        return False if record.trace_id in dropped else None

    with sending(defer=defer, grace=0.0) as (provider, _):
        tracer = provider.get_tracer("t")
        good = tracer.start_span("good")
        bad = tracer.start_span("bad")
        provider.force_flush(5_000)
        bad.end()
        provider.force_flush(5_000)
        assert not http_sink.starts()
        assert not http_sink.spans
        kept.add(f"{good.get_span_context().trace_id:032x}")
        dropped.add(f"{bad.get_span_context().trace_id:032x}")
        wait_until(lambda: http_sink.starts("good"), "the start arrives")
        good.end()
    wait_until(lambda: http_sink.spans, "the end arrives")
    assert [span.name for span in http_sink.spans] == ["good"]
    assert not http_sink.starts("bad")
