"""The metrics about requests, which are those of the stock exporters."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import pytest
from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.resources import Resource

from otel_ext.exporters.otlp import metrics
from otel_ext.exporters.otlp.sender import OtlpSender
from otel_ext.exporters.otlp.transport.answers import Answer as Answered
from otel_ext.exporters.otlp.variables import SignalVariables
from otel_ext.exporters.sdk_adapters import span_from_record
from otel_ext.protocols import Request, SendResult
from tests.exporters import samples
from tests.otlp.grpc_receiver import Refusal, grpc_receiver
from tests.otlp.providers import send
from tests.otlp.sink import Answer, Sink
from tests.programs import environment, execute, python, write_program
from tests.sdk import since

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from opentelemetry.metrics import Meter

ENABLED = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
PREFIX = "otel.sdk.exporter."
SAMPLES: Final = {"span": samples.end("work"), "log": samples.log("told")}
PROTOCOLS: Final = ("http/protobuf", "grpc")
# What the receiver does with every request.
OUTCOMES: Final = ("accepts", "refuses", "is down")


class Reported(NamedTuple):
    """One point of a metric; the value is the count of a histogram."""

    name: str
    unit: str
    description: str
    kind: str
    scope: str
    attributes: dict[str, object]
    value: float


def reported(reader: InMemoryMetricReader) -> list[Reported]:
    """Return the points of exporters' metrics, in a stable order."""
    data = reader.get_metrics_data()
    found = [
        Reported(
            metric.name,
            metric.unit or "",
            metric.description or "",
            type(metric.data).__name__,
            scope.scope.name,
            dict(point.attributes or {}),
            point.value if isinstance(point, NumberDataPoint) else point.count,
        )
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name.startswith(PREFIX)
        for point in metric.data.data_points
    ]
    return sorted(found, key=str)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> InMemoryMetricReader:
    """Return a reader of what senders report to the global meter provider."""
    made = InMemoryMetricReader()
    provider = MeterProvider([made], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    monkeypatch.setenv(ENABLED, "true")
    return made


@pytest.fixture
def stack() -> Generator[ExitStack, None, None]:
    """Close the receivers of a test."""
    with ExitStack() as made:
        yield made


def receive(stack: ExitStack, patch: pytest.MonkeyPatch, protocol: str, outcome: str) -> int:
    """Run a receiver and name it in the environment; return its port."""
    if outcome == "is down":
        port = 9
    elif protocol == "grpc":
        receiver = stack.enter_context(grpc_receiver())
        port = receiver.port
        if outcome == "refuses":
            receiver.behave = lambda _: Refusal("INVALID_ARGUMENT")
    else:
        sink = Sink()
        stack.callback(sink.close)
        port = sink.port
        sink.answer = Answer(400 if outcome == "refuses" else 200)
    patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    patch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    # The stock exporters try again until their timeout, if that is long enough.
    patch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5" if outcome == "is down" else "30")
    return port


def export_with_stock(protocol: str, noun: str) -> list[Reported]:
    """Send a record with the stock exporter, and return what it reports."""
    reader = InMemoryMetricReader()
    package = f"opentelemetry.exporter.otlp.proto.{protocol.removesuffix('/protobuf')}"
    provider = MeterProvider([reader], shutdown_on_exit=False)
    if noun == "span":
        stock = import_module(f"{package}.trace_exporter").OTLPSpanExporter(meter_provider=provider)
        stock.export([span_from_record(SAMPLES["span"], Resource({}))])
    else:
        stock = import_module(f"{package}._log_exporter").OTLPLogExporter(meter_provider=provider)
        api, sdk = import_module("opentelemetry._logs"), import_module("opentelemetry.sdk._logs")
        stock.export([sdk.ReadableLogRecord(api.LogRecord(body="told"), Resource({}))])
    stock.shutdown()
    return reported(reader)


@since(45, "the stock exporters report these metrics in another way, or none")
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("noun", SAMPLES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_they_are_those_of_the_stock_exporters(
    reader: InMemoryMetricReader,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    noun: str,
    outcome: str,
) -> None:
    """Names, units, texts, kinds, values and attributes, but for the component's name.

    Over HTTP a refusal has an error type here, as the conventions require, and none there.
    """
    receive(stack, monkeypatch, protocol, outcome)
    send(SAMPLES[noun])
    ours, theirs = reported(reader), export_with_stock(protocol, noun)
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        component = one.attributes["otel.component.type"]
        assert str(one.attributes.pop("otel.component.name")).startswith(f"{component}/otel_ext-")
        assert str(other.attributes.pop("otel.component.name")).startswith(f"{component}/")
        if (protocol, outcome) == ("http/protobuf", "refuses") and "inflight" not in one.name:
            assert one.attributes.pop("error.type") == "400"
        assert one == other


@pytest.mark.parametrize(
    ("protocol", "endpoint", "port"),
    [
        ("grpc", "collector:1234", 1234),
        ("grpc", "http://collector", 443),
        ("http/protobuf", "http://ann:secret@collector", 80),
        ("http/protobuf", "https://collector/otlp", 443),
    ],
)
def test_the_address_has_a_port(
    reader: InMemoryMetricReader,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    endpoint: str,
    port: int,
) -> None:
    """One that is not in the endpoint is the protocol's; passwords are left out."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    made = metrics.ExporterMetrics("spans", SignalVariables("spans"))
    made.measure(Request("spans", b"", 1), lambda _: Answered(SendResult(ok=True)))
    assert len(reported(reader)) == 3
    for one in reported(reader):
        address = one.attributes["server.address"], one.attributes["server.port"]
        assert address == ("collector", port)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_try_is_reported(
    reader: InMemoryMetricReader,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
) -> None:
    """Each request counts with its outcome; none is in flight afterwards."""
    receive(stack, monkeypatch, protocol, "accepts")
    works = [samples.end("work", number) for number in range(1, 4)]
    sender = OtlpSender()
    assert send(*works, sender=sender).ok
    assert send(*works[:2], SAMPLES["log"], sender=sender).ok
    stack.close()
    assert not send(*works, sender=sender).ok
    sender.close()
    found = [
        (one.name.removeprefix(PREFIX), "error.type" in one.attributes, one.value)
        for one in reported(reader)
    ]
    assert sorted(found) == [
        ("log.exported", False, 1),
        ("log.inflight", False, 0),
        ("operation.duration", False, 1),
        ("operation.duration", False, 2),
        ("operation.duration", True, 1),
        ("span.exported", False, 5),
        ("span.exported", True, 3),
        ("span.inflight", False, 0),
    ]


def _return(answer: Answered, _: Request) -> Answered:
    return answer


def test_rejected_records_have_failed(reader: InMemoryMetricReader) -> None:
    """A partial success counts them with an error, and is no full success of the request."""
    made = metrics.ExporterMetrics("spans", SignalVariables("spans"))
    for rejected in (0, 2, 5):
        answer = Answered(SendResult(ok=True, rejected=rejected))
        made.measure(Request("spans", b"", 5), partial(_return, answer))
    found = {
        (one.name.removeprefix(PREFIX), one.attributes.get("error.type")): one.value
        for one in reported(reader)
    }
    assert found == {
        ("span.exported", None): 5 + 3,
        ("span.exported", "rejected"): 2 + 5,
        ("span.inflight", None): 0,
        ("operation.duration", None): 1,
        ("operation.duration", "rejected"): 2,
    }


@pytest.mark.parametrize("value", ["", "false"])
def test_they_are_off_by_default(
    reader: InMemoryMetricReader,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
) -> None:
    """Without the variable nothing is reported."""
    monkeypatch.setenv(ENABLED, value)
    receive(stack, monkeypatch, "http/protobuf", "accepts")
    assert send(*SAMPLES.values()).ok
    assert not reported(reader)


class Broken(AnyMeterProvider):
    """A meter provider whose instruments raise, or that raises itself."""

    def __init__(self, *, everywhere: bool) -> None:
        self._everywhere = everywhere

    def get_meter(self, *_: object, **__: object) -> Meter:
        """Return a meter without working instruments."""
        if self._everywhere:
            message = "no meter"
            raise RuntimeError(message)
        return cast("Meter", self)

    def create_any(self, *_: object) -> Broken:
        """Return an instrument: this object."""
        return self

    def fail(self, *_: object) -> None:
        """Raise, whatever is reported."""
        message = "no metrics today"
        raise RuntimeError(message)

    create_up_down_counter = create_counter = create_histogram = create_any
    add = record = fail


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_broken_meter_provider_stops_no_record(
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    everywhere: bool,
) -> None:
    """The records are sent, and the problem is reported on stderr."""
    monkeypatch.setenv(ENABLED, "true")
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: Broken(everywhere=everywhere))
    receive(stack, monkeypatch, "http/protobuf", "accepts")
    assert send(*SAMPLES.values()).ok
    assert "OTLP: " in capfd.readouterr().err


PROGRAM = """
import otel_ext
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
otel_ext.configure(otlp=True)
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
trace.get_tracer("shop").start_span("work").end()
trace.get_tracer_provider().force_flush()
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        print(*sorted(metric.name for metric in scope.metrics), sep="\\n")
"""


def test_a_meter_provider_may_be_set_after_configure(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A program that creates its meter provider last gets all metrics: the queue's too."""
    port = receive(stack, monkeypatch, "http/protobuf", "accepts")
    endpoint = f"http://127.0.0.1:{port}"
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **{ENABLED: "true"})
    done = execute(python(write_program(tmp_path, PROGRAM)), cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    printed = done.out.split()
    assert {"otel.sdk.exporter.span.exported", "otel.sdk.processor.span.processed"} <= {*printed}


SPANS = """
import otel_ext
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
handle = otel_ext.configure(otlp=True, output="traces")
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("order"):
    tracer.start_span("pay").end()
    opened = tracer.start_span("open")
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            if metric.name.startswith("otel.sdk.span."):
                for point in metric.data.data_points:
                    print(metric.name, metric.unit, sorted(point.attributes.items()), point.value)
opened.end()
"""


@since(45, "the SDK reports its spans in another way, or not at all")
def test_the_sdk_reports_its_own_spans_once(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Started and live spans come from the SDK itself, and nothing here counts them again."""
    port = receive(stack, monkeypatch, "http/protobuf", "accepts")
    endpoint = f"http://127.0.0.1:{port}"
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **{ENABLED: "true"})
    done = execute(python(write_program(tmp_path, SPANS)), cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    result = "('otel.span.sampling_result', 'RECORD_AND_SAMPLE')"
    assert sorted(done.out.splitlines()) == [
        f"otel.sdk.span.live {{span}} [{result}] 1",
        f"otel.sdk.span.started {{span}} [('otel.span.parent.origin', 'local'), {result}] 2",
        f"otel.sdk.span.started {{span}} [('otel.span.parent.origin', 'none'), {result}] 1",
    ]
