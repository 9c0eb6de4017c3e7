"""The contract of every processor and exporter: use, flush, shutdown, fork, threads, failures.

Each public class of `otel_ext.processors` and `otel_ext.exporters` has a row in
`COMPONENTS` with how to make and use it; a class without one fails here.
"""

from __future__ import annotations

import inspect
import io
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_ext.exporters
import otel_ext.processors
from otel_ext.exporters import (
    CompatExporter,
    ConsoleExporter,
    FanOut,
    JsonlExporter,
    OTLPRecordExporter,
    RecordSpanExporter,
    RedactingExporter,
    ResilientExporter,
    StockSpanExporterAdapter,
)
from otel_ext.exporters.delivery.json_lines import JsonLinesSender
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.processors.tracer_meta import TracerMetaProcessor, TracerMetaRenderer, TracerMetaTap
from otel_ext.protocols import RecordExporter, Request, SendResult
from tests.exporters.receiver import receiving
from tests.exporters.samples import Noting, Spoilt, end, log, start
from tests.programs import in_child
from tests.threads import numbered_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor


pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

TICK_MILLIS: Final = 10_000


class BrokenError(Exception):
    """Raised by an object inside a component."""


class BrokenStock(SpanExporter):
    """A span exporter of the SDK whose methods all raise."""

    def export(self, spans: Sequence[ReadableSpan]) -> NoReturn:
        """Raise."""
        raise BrokenError(str(len(spans)))

    def force_flush(self, timeout_millis: int = 30_000) -> NoReturn:
        """Raise."""
        raise BrokenError(str(timeout_millis))

    def shutdown(self) -> NoReturn:
        """Raise."""
        raise BrokenError


class RefusedSender(JsonLinesSender):
    """A sender whose destination refuses the connection."""

    def send(self, request: Request) -> SendResult:
        """Fail."""
        return SendResult(ok=False, retry=True, message=f"{request.records} records refused")


class RaisingSender(JsonLinesSender):
    """A sender that raises."""

    def send(self, request: Request) -> NoReturn:
        """Raise."""
        raise BrokenError(str(request.records))

    def close(self) -> NoReturn:
        """Raise."""
        raise BrokenError


class BrokenStream(io.StringIO):
    """A stream that raises."""

    def write(self, text: str) -> NoReturn:
        """Raise."""
        raise BrokenError(text[:20])


@dataclass(frozen=True)
class Component:
    """How to make and use a class of ours.

    Attributes:
        make: Makes one that works, in an empty folder.
        broken: Makes one with an inner object that raises.
        use: Uses it once.
    """

    make: Callable[[Path], Any]
    broken: Callable[[Path], Any]
    use: Callable[[Any], None]


def use_exporter(exporter: RecordExporter) -> None:
    """Export one record of each kind."""
    for record in (start(), end(), log()):
        exporter.export(record)


def use_processor(processor: SpanProcessor) -> None:
    """Start and end a span with a processor."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    with provider.get_tracer("t").start_as_current_span("job"):
        pass


def use_span_exporter(exporter: SpanExporter) -> None:
    """End a span with the SDK's simple processor."""
    use_processor(SimpleSpanProcessor(exporter))


def use_structlog(*chain: Any) -> None:  # noqa: ANN401 - structlog's own type
    """Log through a chain of processors."""
    structlog.wrap_logger(structlog.ReturnLogger(), processors=chain).info("signed in", user="ann")


COMPONENTS: Final[dict[str, Component]] = {
    "RedactingExporter": Component(
        lambda folder: RedactingExporter(JsonlExporter(folder)),
        lambda _: FanOut(RedactingExporter(Spoilt())),
        use_exporter,
    ),
    "CompatExporter": Component(
        lambda folder: CompatExporter(JsonlExporter(folder)),
        lambda _: FanOut(CompatExporter(Spoilt())),
        use_exporter,
    ),
    "ConsoleExporter": Component(
        lambda _: ConsoleExporter(io.StringIO()),
        lambda _: ConsoleExporter(BrokenStream()),
        use_exporter,
    ),
    "FanOut": Component(
        lambda folder: FanOut(JsonlExporter(folder), Noting()),
        lambda _: FanOut(Spoilt(), Spoilt()),
        use_exporter,
    ),
    "JsonLinesSender": Component(
        lambda folder: ResilientExporter(RefusedSender(), folder=folder, name="lines"),
        lambda _: RemoteQueue(RaisingSender(), name="broken lines", shutdown_seconds=0.5),
        use_exporter,
    ),
    "JsonlExporter": Component(
        JsonlExporter,
        lambda folder: JsonlExporter(folder / "trace.jsonl" / "under a file"),
        use_exporter,
    ),
    "LifecycleSpanProcessor": Component(
        lambda folder: LifecycleSpanProcessor(JsonlExporter(folder)),
        lambda _: LifecycleSpanProcessor(Spoilt()),
        use_processor,
    ),
    "OTLPRecordExporter": Component(
        lambda _: OTLPRecordExporter(),
        lambda _: RemoteQueue(RaisingSender(), name="broken", shutdown_seconds=0.5),
        use_exporter,
    ),
    "RecordSpanExporter": Component(
        lambda folder: RecordSpanExporter(JsonlExporter(folder)),
        lambda _: RecordSpanExporter(Spoilt()),
        use_span_exporter,
    ),
    "ResilientExporter": Component(
        lambda folder: ResilientExporter(RefusedSender(), folder=folder),
        lambda folder: ResilientExporter(RaisingSender(), folder=folder / "trace.jsonl"),
        use_exporter,
    ),
    "StockSpanExporterAdapter": Component(
        lambda _: StockSpanExporterAdapter(InMemorySpanExporter()),
        lambda _: StockSpanExporterAdapter(BrokenStock()),
        use_exporter,
    ),
    "TracerMetaProcessor": Component(
        lambda folder: TracerMetaProcessor(JsonlExporter(folder)),
        lambda _: TracerMetaProcessor(Spoilt()),
        lambda processor: use_structlog(processor, structlog.processors.JSONRenderer()),
    ),
    "TracerMetaRenderer": Component(
        lambda folder: TracerMetaRenderer(JsonlExporter(folder)),
        lambda _: TracerMetaRenderer(Spoilt()),
        use_structlog,
    ),
    "TracerMetaTap": Component(
        lambda folder: TracerMetaTap(structlog.processors.JSONRenderer(), JsonlExporter(folder)),
        lambda _: TracerMetaTap(structlog.processors.JSONRenderer(), Spoilt()),
        use_structlog,
    ),
}


def classes() -> set[str]:
    """Return the names of all public classes of both packages."""
    return {
        name
        for package in (otel_ext.exporters, otel_ext.processors)
        for name in package.__all__
        if inspect.isclass(getattr(package, name))
    }


@pytest.fixture(autouse=True, scope="module")
def receiver() -> Generator[None, None, None]:
    """Receive what is sent over OTLP."""
    with receiving() as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(params=sorted(classes() | set(COMPONENTS)))
def component(request: pytest.FixtureRequest) -> Component:
    """Return how to make and use each of our classes."""
    assert request.param in COMPONENTS, f"{request.param} has no row in COMPONENTS"
    return COMPONENTS[request.param]


def flush(made: Any) -> object:  # noqa: ANN401 - of any class in the table
    """Flush, if the class can."""
    return made.force_flush(TICK_MILLIS) if hasattr(made, "force_flush") else True


def shut_down(made: Any) -> None:  # noqa: ANN401
    """Shut down, if the class can."""
    if hasattr(made, "shutdown"):
        made.shutdown()


def test_unused_component(component: Component, tmp_path: Path) -> None:
    """Made, flushed and shut down without use: no error, and no file."""
    made = component.make(tmp_path)
    assert flush(made)
    shut_down(made)
    assert list(tmp_path.iterdir()) == []


def test_life(component: Component, tmp_path: Path) -> None:
    """Used, flushed, used again, shut down twice, then used, flushed and shut down again."""
    made = component.make(tmp_path)
    component.use(made)
    assert flush(made)
    component.use(made)
    shut_down(made)
    shut_down(made)
    component.use(made)
    flush(made)
    shut_down(made)


def test_nothing_that_raises_inside_comes_out(
    component: Component, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An inner object that raises at every call: the caller gets no exception, no traceback."""
    (tmp_path / "trace.jsonl").write_text("")
    made = component.broken(tmp_path)
    for _ in range(3):
        component.use(made)
    if hasattr(made, "force_flush"):
        made.force_flush(300)
    shut_down(made)
    # The SDK's threads and the journal's may print a moment later.
    printed = capfd.readouterr().err
    assert "Traceback" not in printed or "StockSpanExporterAdapter" in repr(made)


def test_without_flush_and_shutdown(component: Component, tmp_path: Path) -> None:
    """A component that is not shut down does not keep the process alive."""
    made = component.make(tmp_path)
    component.use(made)
    assert all(
        thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()
    )
    shut_down(made)  # a stock BatchSpanProcessor would live as long as this process


@pytest.mark.forks
def test_forked_child(component: Component, tmp_path: Path) -> None:
    """A child can use, flush and shut down its parent's component, and so can the parent."""
    made = component.make(tmp_path)
    component.use(made)

    def child() -> None:
        component.use(made)
        flush(made)
        shut_down(made)

    in_child(child)
    component.use(made)
    assert flush(made)
    shut_down(made)


def test_eight_threads(component: Component, tmp_path: Path) -> None:
    """Eight threads use and flush one object while it is shut down: no error, no hang."""
    made = component.make(tmp_path)
    problems: list[BaseException] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            barrier.wait()
            for round_number in range(30):
                component.use(made)
                if number == 0 and round_number % 10 == 0:
                    flush(made)
                if number == 1 and round_number == 20:
                    shut_down(made)
        except BaseException as error:  # noqa: BLE001 - the test's own thread reports it
            problems.append(error)

    numbered_threads(8, work)
    assert problems == []
    shut_down(made)


def test_exporters_keep_the_protocol(component: Component, tmp_path: Path) -> None:
    """Every exporter of records is an instance of the protocol."""
    made = component.make(tmp_path)
    assert isinstance(made, RecordExporter) or component.use is not use_exporter
    shut_down(made)
