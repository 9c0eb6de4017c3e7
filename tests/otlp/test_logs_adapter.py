"""The parts of OpenTelemetry's unstable `_logs` packages that the adapter needs."""

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
def test_all_imports_of_the_adapter_exist(module: str, name: str) -> None:
    """If a package has moved, the failure names it and the file to change."""
    try:
        found = hasattr(import_module(module), name)
    except ImportError:
        found = False
    assert found, f"{module}.{name} is gone: find its new location and change {ADAPTER}"


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
def test_all_parameters_that_the_adapter_uses_exist(
    module: str, name: str, parameters: str
) -> None:
    """If a parameter was renamed, the failure names it and the file to change."""
    taken = inspect.signature(getattr(import_module(module), name)).parameters
    missing = [one for one in parameters.split() if one not in taken]
    assert not missing, f"{module}.{name} does not accept {missing} any more: change {ADAPTER}"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_without_the_packages_only_events_are_lost(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans are still sent; the result for events contains the reason."""
    monkeypatch.delitem(sys.modules, "otel_ext.exporters.otlp.transport.logs", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk._logs", None)
    connection = Connection("events", protocol, protocol)
    event = LogEvent("e", "b", 9, "", 1, 2, 0, 0, {}, Resource({}), None)
    result = connection.send_logs([event])
    assert (result.ok, result.retry) == (False, False)
    assert "opentelemetry.sdk._logs" in result.message
    connection.close()
