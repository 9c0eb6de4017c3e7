"""What is made of the answers of a gRPC receiver, and one record that it never takes."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.sdk.trace import TracerProvider

from otel_ext import configure
from otel_ext.exporters.otlp.exporter import OtlpSender
from otel_ext.runtime.counters import COUNTERS
from tests.exporters import samples
from tests.otlp.grpc_receiver import GrpcReceiver, Refusal, grpc_receiver
from tests.programs import wait_until
from tests.sdk import GRPC_ANSWERS

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from opentelemetry.trace import Tracer

    from otel_ext.record.model import Record

pytestmark = GRPC_ANSWERS

SPAN = samples.end("work")
LOG = samples.log("told")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Generator[GrpcReceiver, None, None]:
    """Run a receiver and name it in the environment."""
    with grpc_receiver() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{made.port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        yield made


def refused_by(receiver: GrpcReceiver, refusal: Refusal, record: Record = SPAN) -> tuple[bool, str]:
    """Return whether to try again what the receiver refuses so, and what is said of it."""
    receiver.behave = lambda _: refusal
    sender = OtlpSender()
    began = time.monotonic()
    result = sender.send([record])
    assert not result.ok
    assert time.monotonic() - began < 5  # the exporter itself does not try again
    sender.close()
    return result.retry, result.message


@pytest.mark.parametrize("record", [SPAN, LOG])
@pytest.mark.parametrize(
    ("code", "retry"),
    [
        ("INVALID_ARGUMENT", False),
        ("UNAUTHENTICATED", False),
        ("INTERNAL", False),
        ("UNAVAILABLE", True),
        ("RESOURCE_EXHAUSTED", True),
        ("DEADLINE_EXCEEDED", True),
    ],
)
def test_only_what_may_succeed_later_is_tried_again(
    receiver: GrpcReceiver, record: Record, code: str, retry: bool
) -> None:
    """As OTLP says; the code and the receiver's words are told in the message."""
    assert refused_by(receiver, Refusal(code), record) == (
        retry,
        f"the receiver answered {code}: not like this",
    )


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)"),
        ("OUT_OF_RANGE", "Error, decoded message length too large: found 9 bytes"),
    ],
)
def test_what_is_too_large_is_too_large_later_too(
    receiver: GrpcReceiver, code: str, details: str
) -> None:
    """Servers say so under codes that else stand for what passes."""
    assert not refused_by(receiver, Refusal(code, details))[0]


def test_the_codes_worth_another_try_can_be_named(
    receiver: GrpcReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variable that the stock exporters read."""
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES", "internal, aborted")
    assert refused_by(receiver, Refusal("INTERNAL"))[0]
    assert not refused_by(receiver, Refusal("UNAVAILABLE"))[0]


@pytest.mark.parametrize("key", ["google.rpc.retryinfo-bin", "grpc-status-details-bin"])
def test_a_pause_that_is_asked_for_is_handed_on(receiver: GrpcReceiver, key: str) -> None:
    """Servers put `RetryInfo` in one of two places; what is not there or damaged is no pause."""
    info = RetryInfo(retry_delay=Duration(seconds=7, nanos=500_000_000))
    packed = AnyMessage()
    packed.Pack(info)
    direct = key.startswith("google")
    data = (info if direct else Status(details=[packed])).SerializeToString()
    # Damaged in the first place, it is the stock exporter that fails.
    for value, seconds in ((data, 7.5), (b"" if direct else b"\xff\xff", 0.0)):
        refusal = Refusal("UNAVAILABLE", metadata=((key, value),))
        receiver.behave = lambda _, refusal=refusal: refusal  # type: ignore[misc]
        sender = OtlpSender()
        result = sender.send([SPAN])
        assert (result.retry, result.retry_after) == (True, seconds)
        sender.close()


def test_nobody_there_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection says nothing about the records."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    result = OtlpSender().send([SPAN])
    assert (result.ok, result.retry) == (False, True)
    assert "UNAVAILABLE" in result.message


@contextmanager
def traffic(tracer: Tracer) -> Generator[list[int], None, None]:
    """Make spans that nobody minds all the while; yields how many there are."""
    made: list[int] = []
    stop = threading.Event()

    def make() -> None:
        while not stop.wait(0.01):
            tracer.start_span("traffic").end()
            made.append(1)

    thread = threading.Thread(target=make)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNAVAILABLE"])
def test_one_record_that_is_never_taken_holds_up_nothing(
    receiver: GrpcReceiver, tmp_path: Path, code: str
) -> None:
    """With good spans all the while: the others of its batch arrive, it is set aside.

    Also where the receiver says that it may be taken later, each time. That it was
    down for a while before, so that all of it comes from disk, changes nothing.
    """
    down: list[bool] = []

    def behave(names: list[str]) -> Refusal | None:
        if down:
            return Refusal("UNAVAILABLE")
        return Refusal(code) if "bad" in names else None

    receiver.behave = behave
    provider = TracerProvider(shutdown_on_exit=False)
    handle = configure(
        output=tmp_path,
        otlp=True,
        tracer_provider=provider,
        console="off",
        retry_initial_interval="50ms",
        retry_max_interval="100ms",
    )
    tracer = provider.get_tracer("t")
    dead_letter = COUNTERS.value("remote.dead_letters")
    with traffic(tracer) as made:
        wait_until(lambda: "traffic" in receiver.spans, "the traffic arrives")
        down.append(True)
        for number in range(1_022):
            tracer.start_span("good" if number != 511 else "bad").end()
        handle.flush(5)
        down.clear()
        wait_until(lambda: receiver.spans.count("good") == 1_021, "the good ones arrive", 60)
        wait_until(
            lambda: COUNTERS.value("remote.dead_letters") > dead_letter, "the bad is set aside", 60
        )
    assert COUNTERS.value("remote.dead_letters") - dead_letter == 1
    wait_until(lambda: receiver.spans.count("traffic") >= len(made), "the traffic arrives")
    handle.shutdown()
    assert "bad" not in receiver.spans
    (file,) = (tmp_path / ".queue" / "dead-letter").glob("*.jsonl")
    assert code in file.read_text()
    assert not list((tmp_path / ".queue").glob("*.jsonl"))
