"""How answers of a gRPC receiver are handled, and a record that it never accepts."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from socket import SO_REUSEPORT, SOL_SOCKET, socket
from typing import TYPE_CHECKING

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.sdk.trace import TracerProvider

from otel_ext import configure
from otel_ext.exporters.otlp.sender import OtlpSender
from otel_ext.runtime.counters import COUNTERS
from tests.exporters import samples
from tests.otlp.grpc_receiver import GrpcReceiver, Refusal, grpc_receiver
from tests.otlp.providers import send
from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from opentelemetry.trace import Tracer

    from otel_ext.record.model import Record

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
    """Return whether a refusal is retried, and its message."""
    receiver.behave = lambda _: refusal
    began = time.monotonic()
    result = send(record)
    assert not result.ok
    assert time.monotonic() - began < 5  # the sender itself does not retry
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
def test_only_temporary_failures_are_retried(
    receiver: GrpcReceiver, record: Record, code: str, retry: bool
) -> None:
    """As OTLP requires; the message contains the code and the receiver's details."""
    assert refused_by(receiver, Refusal(code), record) == (
        retry,
        f"the receiver answered {code}: not like this",
    )


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)"),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4: 9"),
        ("OUT_OF_RANGE", "Error, decoded message length too large: found 9 bytes"),
    ],
)
def test_a_message_that_is_too_large_is_not_retried(
    receiver: GrpcReceiver, code: str, details: str
) -> None:
    """Servers report it with codes that otherwise mean a temporary failure."""
    assert not refused_by(receiver, Refusal(code, details))[0]


def test_the_codes_to_retry_can_be_set(
    receiver: GrpcReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variable that the stock exporters read."""
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES", "internal, aborted")
    assert refused_by(receiver, Refusal("INTERNAL"))[0]
    assert not refused_by(receiver, Refusal("UNAVAILABLE"))[0]


@pytest.mark.parametrize("key", ["google.rpc.retryinfo-bin", "grpc-status-details-bin"])
def test_retry_info_is_returned(receiver: GrpcReceiver, key: str) -> None:
    """Servers send `RetryInfo` in one of two keys; if missing or damaged, it counts as 0."""
    info = RetryInfo(retry_delay=Duration(seconds=7, nanos=500_000_000))
    packed = AnyMessage()
    packed.Pack(info)
    direct = key.startswith("google")
    data = (info if direct else Status(details=[packed])).SerializeToString()
    for value, seconds in ((data, 7.5), (b"", 0.0), (b"\xff\xff", 0.0)):
        refusal = Refusal("UNAVAILABLE", metadata=((key, value),))
        receiver.behave = lambda _, refusal=refusal: refusal  # type: ignore[misc]
        result = send(SPAN)
        assert (result.retry, result.retry_after) == (True, seconds)


def test_a_refused_connection_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not due to the records."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    result = send(SPAN)
    assert (result.ok, result.retry) == (False, True)
    assert "UNAVAILABLE" in result.message


def test_partial_success_is_read(receiver: GrpcReceiver) -> None:
    """The result has the number of rejected records, and the reason, as over HTTP."""
    receiver.rejects = (2, "too old")
    for record in (SPAN, LOG):
        result = send(record, record, record)
        assert (result.ok, result.rejected, result.message) == (True, 2, "too old")
        assert send(record).rejected == 1  # not more than there were


def test_a_receiver_that_comes_back_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel of gRPC would wait, up to two minutes, before it connects again."""
    with socket() as held:
        # Keeps the port from others, without listening; a server of gRPC may still have it.
        held.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        sender = OtlpSender()
        for _ in range(5):
            assert not send(SPAN, sender=sender).ok
        with grpc_receiver(port=port) as made:
            assert send(SPAN, sender=sender).ok
            assert made.spans == ["work"]
            sender.close()


@contextmanager
def traffic(tracer: Tracer) -> Generator[list[int], None, None]:
    """Create good spans all the while; yields a list with one item for each."""
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
def test_one_record_that_is_never_accepted_delays_no_other(
    receiver: GrpcReceiver, tmp_path: Path, code: str
) -> None:
    """The others of its batch arrive; it becomes a dead letter.

    Also if the receiver asks for a retry each time, and after an outage, so that all
    records come from disk.
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
            lambda: COUNTERS.value("remote.dead_letters") > dead_letter,
            "the bad one is set aside",
            60,
        )
    assert COUNTERS.value("remote.dead_letters") - dead_letter == 1
    wait_until(lambda: receiver.spans.count("traffic") >= len(made), "the traffic arrives")
    handle.shutdown()
    assert "bad" not in receiver.spans
    (file,) = (tmp_path / ".queue" / "dead-letter").glob("*.jsonl")
    assert code in file.read_text()
    assert not list((tmp_path / ".queue").glob("*.requests"))
