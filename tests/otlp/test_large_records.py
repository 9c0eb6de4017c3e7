"""Records larger than receivers accept (4 MiB) are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_ext.exporters.delivery.resilient import ResilientExporter
from otel_ext.exporters.delivery.splitting import deliver
from otel_ext.exporters.otlp.encoding.compiled import encode_span
from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import RequestCodec
from otel_ext.exporters.otlp.encoding.values import ByteBudget, cut_text, encode_attributes
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from otel_ext.exporters.otlp.sender import OtlpSender
from otel_ext.record.model import Process, SpanEvent
from tests.exporters import samples
from tests.exporters.samples import Counted
from tests.otlp.grpc_receiver import grpc_receiver
from tests.otlp.providers import sending
from tests.otlp.sink import mapping_of
from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.otlp.sink import Sink

MIB = 1024 * 1024
LIMIT = 4 * MIB


def deep(levels: int) -> object:
    """Return a list nested `levels` deep, with a long text in it."""
    value: object = "x" * LIMIT
    for _ in range(levels):
        value = [value]
    return value


HOSTILE: dict[str, Callable[[], dict[str, object]]] = {
    "4 MiB of text": lambda: {"v": "x" * LIMIT},
    "4 Mi of emoji": lambda: {"v": "\N{GRINNING FACE}" * LIMIT},
    "many long texts": lambda: {f"prompt.{n}": "lorem ipsum " * 4_000 for n in range(100)},
    "many long names": lambda: {f"{n}" * 20_000: n for n in range(1_000)},
    "many small values": lambda: {"v": list(range(100_000))},
    "invalid text": lambda: {"v": "\ud800" * MIB},
    "depth 10,000": lambda: {"v": deep(10_000)},
    "depth 20, 4 MiB": lambda: {"v": deep(20)},
    "bytes": lambda: {"v": b"\xff" * LIMIT},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_such_record_affects_no_other(sink: Sink, kind: str) -> None:
    """Of 512 records 511 arrive unchanged, over HTTP and gRPC, and the bad one is cut."""
    with sending() as (provider, exporter):
        tracer = provider.get_tracer("t")
        for number in range(511):
            tracer.start_span("good", attributes={"n": number}).end()
            if number == 255:
                exporter.export(samples.end("hostile", 99, attributes=HOSTILE[kind]()))
        assert provider.force_flush(20_000)
    wait_until(lambda: len(sink.spans) >= 512, "all spans arrive")
    assert {span.attributes["n"] for span in sink.named("good")} == set(range(511))
    (hostile,) = sink.named("hostile")
    assert hostile.attributes


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_request_is_larger_than_receivers_accept(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many such records, and their starts, with ordinary ones between them.

    A gRPC receiver refuses messages of more than 4 MiB by default.
    """
    attributes = HOSTILE[kind]()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    counted = Counted()
    with grpc_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
        exporter = ResilientExporter(OTLPRecordExporter(grace=0), folder=tmp_path)
        for number in range(1, 4):
            exporter.export(samples.end("good", number))
            exporter.export(samples.end("hostile", 100 + number, attributes=attributes))
            exporter.export(samples.start("open", 200 + number, attributes=attributes))
        assert exporter.force_flush(20_000)
        wait_until(lambda: receiver.spans.count("hostile") == 3, "the spans arrive")
        wait_until(lambda: receiver.logs.count("open.start") == 3, "the starts arrive")
        exporter.shutdown()
        assert receiver.spans.count("good") == 3
        assert max(receiver.sizes) < 3.5 * MIB
        assert counted("remote.dead_letters") == counted("remote.refused") == 0


def written(attributes: dict[str, object], budget: ByteBudget | None = None) -> KeyValueList:
    """Return attributes as they are sent."""
    return KeyValueList.FromString(encode_attributes(b"\n", attributes, budget or ByteBudget()))


def test_a_large_text_leaves_budget_for_the_next_values() -> None:
    """Small values after it are kept; the whole stays within the limit."""
    made = written({"huge": "x" * LIMIT, "status": 200, "path": "/ä", "more": "y" * LIMIT})
    found = mapping_of(made.values)
    assert (found["status"], found["path"]) == (200, "/ä")
    texts = [value for value in found.values() if isinstance(value, str)]
    assert [text.endswith(" characters]") for text in texts] == [True, False, True]
    assert made.ByteSize() < MIB


def test_events_and_links_share_the_budget() -> None:
    """A span with many large events loses what exceeds it."""
    event = SpanEvent("said", 5, {"text": "z" * MIB})
    span = Span.FromString(encode_span(samples.end("chatty", 1, events=(event,) * 300)))
    assert span.ByteSize() < MIB
    assert mapping_of(span.events[0].attributes)["text"]


def test_a_large_resource_is_cut() -> None:
    """It is part of every request, so it has its own limit."""
    process = Process("b0-7-1-00000000", pid=7, resource={"a": "x" * LIMIT, "b": "shop"})
    encoder = RequestCodec(ENCODINGS["events"])
    request = encoder.encode("spans", [samples.end("work", 1, process=process)])
    assert request is not None
    (found,) = ExportTraceServiceRequest.FromString(request.body).resource_spans
    assert mapping_of(found.resource.attributes)["b"] == "shop"
    assert len(request.body) < MIB // 4


@given(st.text(max_size=300) | st.text("\ud800\udc00x€", max_size=300), st.integers(0, 400))
def test_a_text_is_cut_by_its_bytes(text: str, longest: int) -> None:
    """Any text is cut to the limit and stays valid; one that fits is unchanged."""
    made = cut_text(text, longest)
    assert len(made.encode()) <= longest
    if 3 * len(text) <= longest:
        assert len(text) / 2 <= len(made) <= len(text)  # surrogate pairs become one character


@given(
    st.dictionaries(
        st.text(max_size=40),
        st.recursive(
            st.text(max_size=90) | st.integers() | st.binary(max_size=50) | st.none(),
            lambda inner: (
                st.lists(inner, max_size=8)
                | st.dictionaries(st.text(max_size=9), inner, max_size=8)
            ),
            max_leaves=20,
        ),
        max_size=12,
    )
)
def test_the_budget_is_never_exceeded(attributes: dict[str, object]) -> None:
    """For any values the result fits."""
    budget = ByteBudget(512)
    written(attributes, budget)
    assert budget.left >= 0


def test_a_batch_larger_than_receivers_accept_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent in parts, since the estimated sizes of the records may be too small."""
    with grpc_receiver() as receiver:  # it accepts 4 MiB
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        sender = OtlpSender()
        text = "\N{GRINNING FACE}" * 3_900
        records = [samples.end("many", n, attributes={"text": text}) for n in range(1, 451)]
        request = sender.encode("spans", records)
        assert request is not None
        assert len(request.body) > LIMIT
        done = deliver(sender, request)
        sender.close()
    assert (done.result.ok, done.sent, done.unsent) == (True, 450, ())
    assert len(receiver.spans) == 450
