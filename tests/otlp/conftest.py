"""A real collector for each test, and a provider that sends to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.otlp.sink import Collector, Sink, collecting

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def peers(tmp_path: Path) -> Generator[tuple[Collector, Sink], None, None]:
    """Run a collector with a sink behind it."""
    with collecting(tmp_path) as made:
        yield made


@pytest.fixture(params=["http/protobuf", "grpc"])
def sink(
    request: pytest.FixtureRequest,
    peers: tuple[Collector, Sink],
    monkeypatch: pytest.MonkeyPatch,
) -> Sink:
    """Return the sink of a collector that the environment names, for each protocol."""
    collector, sink = peers
    for name, value in collector.settings(request.param).items():
        monkeypatch.setenv(name, value)
    return sink


@pytest.fixture
def http_sink(peers: tuple[Collector, Sink], monkeypatch: pytest.MonkeyPatch) -> Sink:
    """Return the sink of a collector that the environment names, over HTTP."""
    collector, sink = peers
    for name, value in collector.settings("http/protobuf").items():
        monkeypatch.setenv(name, value)
    return sink


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Generator[Sink, None, None]:
    """Run a receiver whose answers the test sets, and name it in the environment."""
    sink = Sink()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{sink.port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
    yield sink
    sink.close()
