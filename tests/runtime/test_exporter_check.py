"""A path, or another object that cannot export records, is passed as an exporter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_ext.errors import ConfigError
from otel_ext.exporters import CompatExporter, FanOut, JsonlExporter, RedactingExporter
from otel_ext.processors import LifecycleSpanProcessor
from tests.exporters.samples import Noting

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.protocols import RecordExporter

    Owner = Callable[[RecordExporter], object]

OWNERS: list[Owner] = [
    LifecycleSpanProcessor,
    FanOut,
    CompatExporter,
    RedactingExporter,
    lambda wrong: FanOut(Noting(), wrong),
]
NAMES = ["LifecycleSpanProcessor", "FanOut", "CompatExporter", "RedactingExporter", "FanOut"]


@pytest.mark.parametrize(("owner", "name"), list(zip(OWNERS, NAMES, strict=True)))
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("traces/", "not 'traces/'. Give it JsonlExporter('traces/')."),
        (Path("traces"), "Give it JsonlExporter('traces')."),
        (JsonlExporter, "not JsonlExporter. Give it an object of that class"),
        (InMemorySpanExporter(), "StockSpanExporterAdapter"),
        (None, "not None. Give it an object with export()"),
        (7, "not 7. Give it an object with export()"),
    ],
)
def test_an_invalid_exporter_is_refused(
    owner: Owner, name: str, wrong: object, message: str
) -> None:
    """The error comes at once, and names the class, the value and what to pass instead."""
    with pytest.raises(ConfigError) as caught:
        owner(cast("RecordExporter", wrong))
    assert str(caught.value).startswith(f"{name} takes an exporter, not ")
    assert message in str(caught.value)


def test_any_object_that_exports_is_valid() -> None:
    """An exporter need not be derived from anything."""
    inner = Noting()
    assert FanOut(CompatExporter(inner), RedactingExporter(inner)).force_flush() is True
    LifecycleSpanProcessor(inner).shutdown()
