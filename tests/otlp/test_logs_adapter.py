"""What the one adapter needs of OpenTelemetry's `_logs` packages, which are not stable."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module

import pytest
from opentelemetry.sdk.resources import Resource

from otel_ext.exporters.otlp.encoding.events import LogEvent
from otel_ext.exporters.otlp.transport.sender import Connection
from tests.sdk import LOG_CLASSES

ADAPTER = "exporters/otlp/transport/logs.py"
NEEDED = [
    ("opentelemetry._logs", "LogRecord"),
    ("opentelemetry._logs", "SeverityNumber"),
    pytest.param("opentelemetry.sdk._logs", "ReadableLogRecord", marks=LOG_CLASSES),
    pytest.param("opentelemetry.sdk._logs.export", "LogRecordExporter", marks=LOG_CLASSES),
    ("opentelemetry.exporter.otlp.proto.http._log_exporter", "OTLPLogExporter"),
    ("opentelemetry.exporter.otlp.proto.grpc._log_exporter", "OTLPLogExporter"),
]


@pytest.mark.parametrize(("module", "name"), NEEDED)
def test_what_the_adapter_imports_is_still_there(module: str, name: str) -> None:
    """When a package moves, this names what moved and the file that has to follow."""
    try:
        found = hasattr(import_module(module), name)
    except ImportError:
        found = False
    assert found, f"{module}.{name} is gone: find its new place and change {ADAPTER}"


@pytest.mark.parametrize(
    ("module", "name", "parameters"),
    [
        pytest.param(
            "opentelemetry._logs",
            "LogRecord",
            "timestamp observed_timestamp context severity_number body attributes event_name",
            marks=LOG_CLASSES,
        ),
        pytest.param(
            "opentelemetry.sdk._logs",
            "ReadableLogRecord",
            "log_record resource instrumentation_scope",
            marks=LOG_CLASSES,
        ),
        ("opentelemetry.exporter.otlp.proto.http._log_exporter", "OTLPLogExporter", "session"),
    ],
)
def test_what_the_adapter_calls_takes_what_it_is_given(
    module: str, name: str, parameters: str
) -> None:
    """When a parameter is renamed, this names it and the file that has to follow."""
    taken = inspect.signature(getattr(import_module(module), name)).parameters
    missing = [one for one in parameters.split() if one not in taken]
    assert not missing, f"{module}.{name} takes no {missing} any more: change {ADAPTER}"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_without_the_packages_only_events_are_lost(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans are sent all the same; the answer for events says what is the matter."""
    monkeypatch.delitem(sys.modules, "otel_ext.exporters.otlp.transport.logs", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk._logs", None)
    connection = Connection("events", protocol, protocol)
    event = LogEvent("e", "b", 9, "", 1, 2, 0, 0, {}, Resource({}), None)
    result = connection.send_logs([event])
    assert (result.ok, result.retry) == (False, False)
    assert "opentelemetry.sdk._logs" in result.message
    connection.close()
