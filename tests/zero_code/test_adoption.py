"""A program that sets its own tracer provider uses that one, with its exporters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_ext.setup.adoption import AdoptingTracerProvider
from tests.programs import ids, python, record, records_in, spans_in, succeed

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


@pytest.mark.measured
def test_the_programs_own_provider_gets_every_span(tmp_path: Path) -> None:
    """All spans have its exporters and resource, and each is recorded exactly once."""
    done = record(tmp_path, "-c", OWN_PROVIDER)
    names = ["SELECT", "direct tracer", "late tracer", "early tracer"]
    assert done.document == [[name, "mine"] for name in names]
    spans = spans_in(tmp_path / "traces")
    assert [record.name for record in spans if record.phase == "end"] == names
    assert ids(spans, "start") == ids(spans, "end")
    assert records_in(tmp_path / "traces")[0].extra["resource"] == {"service.name": "mine"}
    # As without otel-ext, only the second provider is refused.
    assert done.err.count("Overriding of current TracerProvider") == 1


SILENCED = {
    "disable": "logging.disable(logging.CRITICAL)",
    "level": "logging.getLogger('opentelemetry').setLevel(logging.ERROR)",
    "dictConfig": "import logging.config; logging.config.dictConfig({'version': 1})",
}


@pytest.mark.parametrize("way", SILENCED)
def test_silencing_the_apis_logger_changes_nothing(way: str, tmp_path: Path) -> None:
    """The program's provider is adopted even if the API's refusal is not logged."""
    code = f"import logging\nfrom opentelemetry import trace\n{SILENCED[way]}\n" + OWN_PROVIDER
    done = record(tmp_path, "-c", code)
    assert len(done.document) == 4
    assert len(spans_in(tmp_path / "traces", "early tracer")) == 2
    # The second provider is refused silently, as the program has configured.
    assert "Overriding of current" not in done.err


def test_a_program_that_adds_to_the_global_provider(tmp_path: Path) -> None:
    """Processors that the program adds to the global provider see its spans."""
    code = """\
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
assert isinstance(trace.get_tracer_provider(), TracerProvider)
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
with trace.get_tracer("test").start_as_current_span("work"): pass
"""
    done = record(tmp_path, "-c", code, OTEL_SERVICE_NAME="found")
    assert '"service.name": "found"' in done.out
    assert len(spans_in(tmp_path / "traces", "work")) == 2


def provider_with_memory() -> tuple[TracerProvider, InMemorySpanExporter]:
    """Return a program's own provider, and the exporter of its spans."""
    provider = TracerProvider(resource=Resource({"service.name": "mine"}), shutdown_on_exit=False)
    seen = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    return provider, seen


def test_issued_tracers_start_the_successors_spans() -> None:
    """A tracer that an instrumentation keeps starts the successor's spans after an adoption."""
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
    later = first.get_tracer("held", "1.3").start_span("later")
    assert isinstance(later, ReadableSpan)
    assert later.resource is provider.resource
    assert first.successor is provider


def test_processors_are_added_to_the_successor_once() -> None:
    """Earlier processors are added to the successor; later ones only to the successor."""
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


@pytest.mark.parametrize("kind", ["itself", "no get_tracer", "a second one"])
def test_what_cannot_be_adopted(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A provider adopts neither itself, nor one without tracers, nor a second one."""
    first = AdoptingTracerProvider(Resource({}))
    provider, _ = provider_with_memory()
    if kind == "a second one":
        assert first.adopt(provider)
    other = {"itself": first, "no get_tracer": object(), "a second one": TracerProvider()}[kind]
    assert not first.adopt(other)
    assert first.successor is (provider if kind == "a second one" else None)
    message = "object has no method get_tracer; derive it from"
    assert (message in capfd.readouterr().err) == (kind == "no get_tracer")


class Counting(trace.NoOpTracer):
    """A tracer of a class that is not the SDK's."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def start_span(self, name: str, *args: Any, **kwargs: Any) -> trace.Span:  # noqa: ANN401 - as its base
        """Remember the name of the span."""
        self.names.append(name)
        return super().start_span(name, *args, **kwargs)


class Wrapping(trace.TracerProvider):
    """A provider that is not the SDK's, with a method and an attribute of its own."""

    sampler = ALWAYS_ON

    def __init__(self) -> None:
        self.tracer = Counting()
        self.added: list[object] = []

    def get_tracer(self, *args: str) -> trace.Tracer:  # type: ignore[override]
        """Return the one tracer; check that the arguments are not None."""
        assert all(args)
        return self.tracer

    def theirs(self) -> str:
        """Return a text, as a method that only this provider has."""
        return "theirs"


class Taking(Wrapping):
    """Such a provider that takes span processors."""

    def add_span_processor(self, processor: object) -> None:
        """Keep the processor."""
        self.added.append(processor)


def test_tracers_of_any_class_are_adopted() -> None:
    """Issued tracers, and decorators made with them, use a tracer that is not the SDK's."""
    first = AdoptingTracerProvider(Resource({}))
    processor = SimpleSpanProcessor(InMemorySpanExporter())
    first.add_span_processor(processor)
    tracer = first.get_tracer("held")

    @tracer.start_as_current_span("decorated before")
    def work() -> int:
        return 1

    @tracer.start_as_current_span("decorated coroutine")
    async def work_later() -> int:
        return 2

    provider = Taking()
    assert first.adopt(provider)
    assert (work(), asyncio.run(work_later())) == (1, 2)
    tracer.start_span("started").end()
    assert provider.tracer.names == ["decorated before", "decorated coroutine", "started"]
    assert provider.added == [processor]
    assert isinstance(tracer, Tracer)


def test_the_global_provider_answers_as_the_successor() -> None:
    """Attributes and methods of the global provider are those of the program's provider."""
    first = AdoptingTracerProvider(Resource({"service.name": "ours"}))
    assert not hasattr(first, "theirs")
    provider = Taking()
    first.adopt(provider)
    assert first.theirs() == "theirs"
    assert first.sampler is provider.sampler
    assert first.resource.attributes["service.name"] == "ours"  # theirs has none
    assert first.force_flush()
    assert not hasattr(first, "__fspath__")
    first.shutdown()


def test_a_provider_without_processors_keeps_its_spans(capfd: pytest.CaptureFixture[str]) -> None:
    """A provider that takes no processors is adopted too, and the loss is reported."""
    first = AdoptingTracerProvider(Resource({}))
    first.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    tracer = first.get_tracer("held")
    provider = Wrapping()
    assert first.adopt(provider)
    tracer.start_span("work")
    assert provider.tracer.names == ["work"]
    printed = capfd.readouterr().err
    assert "nothing is recorded: the tracer provider Wrapping takes no span processors;" in printed
    assert "use opentelemetry.sdk.trace.TracerProvider" in printed


def test_a_span_that_is_open_ends_where_it_started() -> None:
    """A span from before the adoption ends at the processors that saw its start, once."""
    first = AdoptingTracerProvider(Resource({}))
    ours = InMemorySpanExporter()
    first.add_span_processor(SimpleSpanProcessor(ours))
    span = first.get_tracer("test").start_span("open")
    provider, seen = provider_with_memory()
    first.adopt(provider)
    span.end()
    assert [one.name for one in ours.get_finished_spans()] == ["open"]
    assert not seen.get_finished_spans()


def test_an_issued_tracer_is_a_plain_one() -> None:
    """Until an adoption, tracers are of the SDK's own class, without overhead."""
    assert type(AdoptingTracerProvider(Resource({})).get_tracer("test")) is Tracer


AFTER_A_RESET = """\
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.util._once import Once
import otel_ext
otel_ext.configure(output=sys.argv[1], console="off")
ours = trace.get_tracer_provider()
trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = None, Once()
trace.set_tracer_provider(mine := TracerProvider())
trace.set_tracer_provider(TracerProvider())
assert trace.get_tracer_provider() is mine and ours.successor is None
"""


@pytest.mark.measured
def test_a_test_suite_that_resets_the_api_is_left_alone(tmp_path: Path) -> None:
    """If ours is no longer the global provider, it adopts none that the API refuses."""
    done = succeed(python("-c", AFTER_A_RESET, tmp_path / "traces"), tmp_path)
    assert done.err.count("Overriding of current TracerProvider") == 1


CONFIGURED = """\
import sys
import otel_ext
otel_ext.configure(output=sys.argv.pop(), console="off")
"""


def test_a_provider_that_is_set_after_configure(tmp_path: Path) -> None:
    """After `configure()` a provider is adopted as under `otel-ext run`, and the exit works."""
    done = succeed(python("-c", CONFIGURED + OWN_PROVIDER, tmp_path / "traces"), tmp_path)
    assert len(done.document) == 3  # nothing is instrumented
    assert done.err.count("Overriding of current TracerProvider") == 1
    spans = spans_in(tmp_path / "traces")
    assert len(ids(spans, "start")) == 3
    assert ids(spans, "start") == ids(spans, "end")
    assert records_in(tmp_path / "traces")[-1].name == "process.end"


def test_many_requests_for_a_tracer_keep_no_memory() -> None:
    """A program that gets a tracer for every request does not grow by it."""
    provider = AdoptingTracerProvider(Resource({}))
    for _ in range(1_000):
        provider.get_tracer("my.library", "1.0")
    # Before 1.40 the SDK itself keeps none of them.
    assert len(provider._issued) <= 1  # noqa: SLF001 - what must not grow
