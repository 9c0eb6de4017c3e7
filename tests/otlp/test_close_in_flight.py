"""A request in flight does not delay the end of the program."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.exporters.otlp.sender import OtlpSender
from tests.exporters import samples
from tests.otlp.providers import send

if TYPE_CHECKING:
    from otel_ext.protocols import SendResult
    from tests.otlp.sink import Sink

SPAN = samples.end("work")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_closing_does_not_wait_for_the_answer(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request ends at once, over HTTP with its connection: a temporary failure."""
    results: list[SendResult] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "55")
        sender = OtlpSender()
        thread = threading.Thread(target=lambda: results.append(send(SPAN, sender=sender)))
        thread.start()
        listener.settimeout(30)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            assert connection.recv(1)
            began = time.monotonic()
            sender.close()
            sender.close()
            assert time.monotonic() - began < 30
            if protocol == "grpc":
                thread.join(20)
                assert results
            listener.close()  # over HTTP it would connect again
        thread.join(20)
    assert [(result.ok, result.retry) for result in results] == [(False, True)]


def test_a_closed_sender_connects_again(receiver: Sink) -> None:
    """Records that exit handlers make are still sent."""
    sender = OtlpSender()
    assert send(SPAN, sender=sender).ok
    sender.close()
    assert send(SPAN, sender=sender).ok
    assert len(receiver.named("work")) == 2
    sender.close()
