"""Exporters before 1.42 wait in their shutdown for the request in flight."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_ext.exporters.otlp.encoding.provisional import ENCODINGS
from otel_ext.exporters.otlp.transport import sender as otlp_transport
from otel_ext.exporters.otlp.transport.sender import Answers, Connection, NoAnswers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest
    from opentelemetry.sdk.trace import ReadableSpan


class Waiting(SpanExporter):
    """Sends until the test releases it; its shutdown waits for that."""

    def __init__(self) -> None:
        self.sends = threading.Event()
        self.may_end = threading.Event()
        self.shut_down_by: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Wait for the answer."""
        self.sends.set()
        assert self.may_end.wait(30)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Wait for the request, as those exporters do."""
        assert self.may_end.wait(30)
        self.shut_down_by.append(threading.current_thread().name)


def test_the_sending_thread_closes_after_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Connection.close` does not wait; an idle exporter is closed at once."""
    exporter = Waiting()

    def make(_protocol: str) -> tuple[SpanExporter, Answers]:
        return exporter, NoAnswers()

    monkeypatch.setattr(otlp_transport, "_make_span_exporter", make)
    connection = Connection(next(iter(ENCODINGS)), "grpc", "grpc")
    sender = threading.Thread(target=connection.send_spans, args=([],), name="sender")
    sender.start()
    assert exporter.sends.wait(30)
    connection.close()
    assert exporter.shut_down_by == []
    exporter.may_end.set()
    sender.join(30)
    assert exporter.shut_down_by == ["sender"]
    connection = Connection(next(iter(ENCODINGS)), "grpc", "grpc")
    assert connection.send_spans([]).ok
    connection.close()
    assert exporter.shut_down_by == ["sender", threading.current_thread().name]
