"""Nothing is sent for spans that are not sampled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import use_span

from otel_ext import configure
from otel_ext.exporters.delivery.sampling import UnsampledSpans
from otel_ext.processors.tracer_meta import TracerMetaProcessor
from tests.exporters import samples
from tests.otlp.providers import sending
from tests.programs import environment, execute, python, spans_in, wait_until, write_program

if TYPE_CHECKING:
    import pytest
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from otel_ext.record.model import Record
    from tests.otlp.sink import Collector, Sink


class RecordsOnly(Sampler):
    """Records spans, and samples only those called `sampled`."""

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
    """With `record_only` they are written to files and not sent."""
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


def test_logs_in_spans_that_are_not_sampled_are_not_sent(http_sink: Sink, tmp_path: Path) -> None:
    """Also after the end of such a span; logs in a sampled span, or without one, are sent."""
    provider = TracerProvider(sampler=RecordsOnly(), shutdown_on_exit=False)
    handle = configure(
        output=tmp_path, otlp=True, record_only=True, tracer_provider=provider, console="off"
    )
    assert handle.exporter is not None
    recorder = TracerMetaProcessor(handle.exporter)
    tracer = provider.get_tracer("t")

    def log(name: str) -> None:
        recorder(None, "info", {"event": name})

    for name in ("recorded", "sampled"):
        span = tracer.start_span(name)
        with use_span(span):
            log(f"in {name}")
            handle.flush(5)
            span.end()
            log(f"after {name}")
    log("outside")
    handle.shutdown()
    wait_until(lambda: http_sink.of("otel_ext.process.end"), "the last record arrives")
    logs = [event.body for event in http_sink.of("otel_ext.log")]
    assert logs == ["in sampled", "after sampled", "outside"]


def is_refused(watch: UnsampledSpans, span: Span) -> bool:
    """Return whether the records of a span are not sent."""
    context = span.get_span_context()
    return not watch.decide(
        samples.start("recorded")._replace(
            trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}"
        )
    )


def test_ended_spans_are_not_remembered_for_ever() -> None:
    """All open spans are remembered, and a limited number of ended ones."""
    watch = UnsampledSpans(max_ended=10)
    provider = TracerProvider(sampler=RecordsOnly(), shutdown_on_exit=False)
    provider.add_span_processor(watch)
    tracer = provider.get_tracer("t")
    open_one = tracer.start_span("recorded")
    ended = [tracer.start_span(name) for name in ("recorded", "sampled") * 1_000]
    for span in ended:
        span.end()
    assert is_refused(watch, open_one)
    assert [is_refused(watch, span) for span in ended] == [False] * 1_980 + [True, False] * 10


FORKING = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
import otel_ext
from tests.otlp.test_sampling import RecordsOnly
provider = TracerProvider(sampler=RecordsOnly())
trace.set_tracer_provider(provider)
handle = otel_ext.configure(otlp=True, record_only=True, console="off")
span = trace.get_tracer("t").start_span("recorded")
if not os.fork():
    span.end()
    trace.get_tracer("t").start_span("sampled").end()
    os._exit(0 if handle.flush(10) else 7)
print(os.waitstatus_to_exitcode(os.wait()[1]))
span.end()
"""


def test_a_forked_child_knows_which_spans_are_not_sampled(
    http_sink: Sink, peers: tuple[Collector, Sink], tmp_path: Path
) -> None:
    """It may end a span that began before the fork."""
    variables = peers[0].settings("http/protobuf")
    root = str(Path(__file__).parents[2])
    done = execute(
        python(write_program(tmp_path, FORKING)),
        cwd=tmp_path,
        env=environment(**variables, PYTHONPATH=root),
    )
    assert (done.code, done.out.strip()) == (0, "0"), done.err
    wait_until(lambda: http_sink.named("sampled"), "the sampled span arrives")
    assert {span.name for span in http_sink.spans} == {"sampled"}


def test_records_wait_for_a_tail_decision(http_sink: Sink) -> None:
    """With the hook `defer` nothing is sent before the decision to keep the trace."""
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
