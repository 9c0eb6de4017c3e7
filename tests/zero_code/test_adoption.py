"""Under `otel-ext run` a program that sets a provider of its own keeps it, exporters and all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_ext.adoption import AdoptingTracerProvider
from tests.programs import environment, execute, ids, python, recorded, records_in, spans_in

if TYPE_CHECKING:
    from pathlib import Path

OWN_PROVIDER = """\
import json, logging, sqlite3
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

logging.basicConfig(level=logging.DEBUG)
early = trace.get_tracer("early")
seen = InMemorySpanExporter()
mine = TracerProvider(resource=Resource({"service.name": "mine"}))
trace.set_tracer_provider(mine)
mine.add_span_processor(SimpleSpanProcessor(seen))

with early.start_as_current_span("early tracer"):
    with trace.get_tracer("late").start_as_current_span("late tracer"):
        with mine.get_tracer("direct").start_as_current_span("direct tracer"):
            sqlite3.connect(":memory:").cursor().execute("SELECT 1")
second = TracerProvider()
trace.set_tracer_provider(second)
print(json.dumps([
    [span.name, span.resource.attributes["service.name"]] for span in seen.get_finished_spans()
]))
"""


def test_the_programs_own_provider_gets_every_span(tmp_path: Path) -> None:
    """Its exporters and resource apply to all spans, and each is recorded by us exactly once."""
    done = execute(recorded(tmp_path / "traces", *python("-c", OWN_PROVIDER)), cwd=tmp_path)
    assert done.code == 0, done.err
    names = ["SELECT", "direct tracer", "late tracer", "early tracer"]
    assert json.loads(done.out) == [[name, "mine"] for name in names]
    spans = spans_in(tmp_path / "traces")
    assert [record.name for record in spans if record.phase == "end"] == names
    assert ids(spans, "start") == ids(spans, "end")
    assert records_in(tmp_path / "traces")[0].extra["resource"] == {"service.name": "mine"}
    # As without us, only the second attempt is refused.
    assert done.err.count("Overriding of current TracerProvider") == 1


def test_a_program_that_silences_the_refusal_runs_as_before(tmp_path: Path) -> None:
    """Where the API's logger is switched off nothing is adopted, nothing breaks."""
    code = "import logging\nlogging.disable(logging.CRITICAL)\n" + OWN_PROVIDER
    done = execute(recorded(tmp_path / "traces", *python("-c", code)), cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out) == [["direct tracer", "mine"]]
    assert len(spans_in(tmp_path / "traces", "early tracer")) == 2


def test_a_program_that_adds_to_the_global_provider(tmp_path: Path) -> None:
    """Processors that the program adds to the provider it finds see its spans."""
    code = """\
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
assert isinstance(trace.get_tracer_provider(), TracerProvider)
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
with trace.get_tracer("test").start_as_current_span("work"): pass
"""
    env = environment(OTEL_SERVICE_NAME="found")
    done = execute(recorded(tmp_path / "traces", *python("-c", code)), cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert '"service.name": "found"' in done.out
    assert len(spans_in(tmp_path / "traces", "work")) == 2


def provider_with_memory() -> tuple[TracerProvider, InMemorySpanExporter]:
    """Return a provider of a program's own and what its spans end up in."""
    provider = TracerProvider(resource=Resource({"service.name": "mine"}), shutdown_on_exit=False)
    seen = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    return provider, seen


def test_tracers_handed_out_before_become_the_successors() -> None:
    """A tracer that an instrumentation holds makes the successor's spans from then on."""
    first = AdoptingTracerProvider(Resource({}))
    tracer = first.get_tracer("held", "1.2", "https://example.com/schema", {"scope": "attribute"})
    provider, seen = provider_with_memory()
    assert first.adopt(provider)
    with tracer.start_as_current_span("work"):
        pass
    (span,) = seen.get_finished_spans()
    assert span.resource.attributes["service.name"] == "mine"
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "held"
    assert span.instrumentation_scope.attributes == {"scope": "attribute"}
    assert first.get_tracer("held", "1.3") is provider.get_tracer("held", "1.3")
    assert first.successor is provider


def test_processors_move_to_the_successor_once() -> None:
    """What was added before goes along; what comes later goes to the successor alone."""
    first = AdoptingTracerProvider(Resource({}))
    before, after = InMemorySpanExporter(), InMemorySpanExporter()
    first.add_span_processor(SimpleSpanProcessor(before))
    provider, seen = provider_with_memory()
    first.adopt(provider)
    first.add_span_processor(SimpleSpanProcessor(after))
    for source in (first, provider):
        with source.get_tracer("test").start_as_current_span("work"):
            pass
    for exporter in (before, after, seen):
        assert len(exporter.get_finished_spans()) == 2
    assert first.force_flush()
    first.shutdown()
    with provider.get_tracer("test").start_as_current_span("too late"):
        pass
    assert len(seen.get_finished_spans()) == 2


@pytest.mark.parametrize("kind", ["itself", "not of the SDK", "a second one"])
def test_what_cannot_take_over(kind: str) -> None:
    """A provider is not its own successor, one of another kind cannot be, and only one can."""
    first = AdoptingTracerProvider(Resource({}))
    provider, _ = provider_with_memory()
    if kind == "a second one":
        assert first.adopt(provider)
    other = {"itself": first, "not of the SDK": object(), "a second one": TracerProvider()}[kind]
    assert not first.adopt(other)
    assert first.successor is (provider if kind == "a second one" else None)


def test_asking_for_a_tracer_again_and_again_costs_nothing() -> None:
    """A program that asks for a tracer with every request does not grow by it."""
    provider = AdoptingTracerProvider(Resource({}))
    for _ in range(1_000):
        provider.get_tracer("my.library", "1.0")
    assert len(provider._handed_out) == 1  # noqa: SLF001 - what must not grow
