"""`LogEvent`: the plain values of an OTLP log record, without OpenTelemetry's `_logs` packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_ext.exporters.otlp.encoding.values import OtlpValue

__all__ = ["LogEvent"]


class LogEvent(NamedTuple):
    """The values of an OTLP log record.

    Attributes:
        name: The event's name, such as `otel_ext.span.start`.
        body: The text for people.
        severity: OTLP's number, 1 to 24; 0 for none.
        severity_text: The name that the program uses for the level; may be empty.
        time_ns: When it happened, nanoseconds since the epoch.
        observed_ns: When it was encoded, likewise.
        trace_id: The span's trace; 0 for none.
        span_id: The span; 0 for none.
        attributes: The user's data and ours.
        resource: The resource of the process.
        scope: The instrumentation scope, if known.
    """

    name: str
    body: str
    severity: int
    severity_text: str
    time_ns: int
    observed_ns: int
    trace_id: int
    span_id: int
    attributes: Mapping[str, OtlpValue]
    resource: Resource
    scope: InstrumentationScope | None
