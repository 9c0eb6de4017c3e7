"""A request in flight does not delay the end of the program."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.exporters.otlp.sender import OtlpSender
from tests.exporters import samples
from tests.otlp.providers import send
from tests.otlp.sink import Sink, black_hole

if TYPE_CHECKING:
    from otel_ext.protocols import SendResult

SPAN = samples.end("work")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_closing_does_not_wait_for_the_answer(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request ends at once, over HTTP with its timeout: a temporary failure."""
    results: list[SendResult] = []
    with black_hole() as port:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2" if protocol != "grpc" else "60")
        sender = OtlpSender()
        thread = threading.Thread(target=lambda: results.append(send(SPAN, sender=sender)))
        thread.start()
        time.sleep(0.5)
        began = time.monotonic()
        sender.close()
        sender.close()
        assert time.monotonic() - began < 1
        thread.join(10)
    assert [(result.ok, result.retry) for result in results] == [(False, True)]


def test_a_closed_sender_connects_again(receiver: Sink) -> None:
    """Records that exit handlers make are still sent."""
    sender = OtlpSender()
    assert send(SPAN, sender=sender).ok
    sender.close()
    assert send(SPAN, sender=sender).ok
    assert len(receiver.named("work")) == 2
    sender.close()
