"""Detects whether a program already sends its spans over OTLP itself.

A provider has no public list of its processors, nor have these of their exporters. So
all their attributes are searched, whatever the attributes are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["has_otlp_exporter"]

_STOCK: Final = "opentelemetry.exporter.otlp."
_SDK: Final = "opentelemetry.sdk."
_MAX_OBJECTS: Final = 500


def has_otlp_exporter(provider: object) -> bool:
    """Return whether spans of `provider` go to one of OpenTelemetry's OTLP exporters.

    Exporters that are wrapped in others, and subclasses of the stock ones, count too.
    A search takes some tens of microseconds.

    Args:
        provider: A tracer provider of the SDK; for any other the answer is False.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> has_otlp_exporter(TracerProvider())
    False
    """
    try:
        return _is_found(provider)
    except Exception as error:  # noqa: BLE001 - processors may be the user's code
        report_problem("OTLP: spans may be sent twice, if the program sends them too", error)
        return False


def _is_found(provider: object) -> bool:
    waiting: list[object] = [provider]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_OBJECTS:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, SpanExporter) and _is_stock(one):
            return True
        waiting += _parts(one)
    return False


def _is_stock(exporter: SpanExporter) -> bool:
    return any(kind.__module__.startswith(_STOCK) for kind in type(exporter).__mro__)


def _parts(one: object) -> Iterator[object]:
    """Return the parts of `one`, if it belongs to a pipeline of spans."""
    if isinstance(one, (list, tuple)):
        yield from cast("Sequence[object]", one)
    elif isinstance(one, (TracerProvider, SpanProcessor, SpanExporter)) or _is_of_sdk(one):
        yield from list(getattr(one, "__dict__", {}).values())


def _is_of_sdk(one: object) -> bool:
    """Whether `one` is a batcher of the SDK, not a resource, sampler or the like."""
    kind = type(one)
    return kind.__module__.startswith(_SDK) and hasattr(kind, "force_flush")
