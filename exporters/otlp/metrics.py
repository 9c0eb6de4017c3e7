"""Reports the requests of each signal as the stock OTLP exporters report theirs.

The metrics are `otel.sdk.exporter.*` of OpenTelemetry's semantic conventions, on the
meter of the stock exporters and with their texts, since a meter has one instrument of a
name. The sender creates them only if the environment asks for the SDK's metrics about itself.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlparse

from opentelemetry.metrics import get_meter_provider

from otel_ext.exporters.otlp.variables import GRPC
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.exporters.otlp.transport.answers import Answer
    from otel_ext.exporters.otlp.variables import SignalVariables
    from otel_ext.protocols import Request

    _Attributes: TypeAlias = dict[str, str | int]

__all__ = ["ExporterMetrics"]

_METER: Final = "opentelemetry-sdk"
_NOUNS: Final = {"spans": ("span", "spans"), "logs": ("log", "log records")}
_INFLIGHT: Final = (
    "The number of {} which were passed to the exporter, but that have not been exported yet"
    " (neither successful, nor failed)."
)
_EXPORTED: Final = (
    "The number of {} for which the export has finished, either successful or failed."
)
_DURATION: Final = "The duration of exporting a batch of telemetry records."
# The conventions' word for records that a receiver refuses without a reason.
_REJECTED: Final = "rejected"
_numbers: Final[defaultdict[str, count[int]]] = defaultdict(count)


class ExporterMetrics:
    """Counts and times the requests of one signal.

    Args:
        signal: `spans` or `logs`.
        variables: Where they are sent.
    """

    def __init__(self, signal: str, variables: SignalVariables) -> None:
        noun, records = _NOUNS[signal]
        component = f"otlp_{variables.protocol.split('/')[0]}_{noun}_exporter"
        # Not only a number: a stock exporter beside ours has `.../0`, and would be added up.
        name = f"{component}/otel_ext-{next(_numbers[component])}"
        self._attributes: _Attributes = {
            "otel.component.type": component,
            "otel.component.name": name,
            **_server(variables),
        }
        meter, prefix = get_meter_provider().get_meter(_METER), "otel.sdk.exporter"
        names, unit = f"{prefix}.{noun}", "{log_record}" if noun == "log" else "{span}"
        self._inflight = meter.create_up_down_counter(
            f"{names}.inflight", unit, _INFLIGHT.format(records)
        )
        self._exported = meter.create_counter(f"{names}.exported", unit, _EXPORTED.format(records))
        self._duration = meter.create_histogram(f"{prefix}.operation.duration", "s", _DURATION)

    def measure(self, request: Request, send: Callable[[Request], Answer]) -> Answer:
        """Send a request, and report its records, its duration and its error."""
        began, ours = perf_counter(), self._attributes
        _report(self._inflight.add, request.records, ours)
        try:
            answer = send(request)
        finally:
            _report(self._inflight.add, -request.records, ours)
        seconds, rejected = perf_counter() - began, answer.result.rejected
        failed = {**ours, "error.type": answer.error or _REJECTED}
        if answer.error:
            _report(self._exported.add, request.records, failed)
        else:
            # Both, if a receiver has rejected some: that is no full success.
            if accepted := request.records - rejected:
                _report(self._exported.add, accepted, ours)
            if rejected:
                _report(self._exported.add, rejected, failed)
        outcome = failed if answer.error or rejected else ours
        _report(self._duration.record, seconds, {**outcome, **answer.status})
        return answer


def _report(
    report: Callable[[float, _Attributes], None], value: float, attributes: _Attributes
) -> None:
    try:
        report(value, attributes)
    except Exception as error:  # noqa: BLE001 - a meter provider may be the user's code
        report_problem("OTLP: a metric is lost", error)


def _server(variables: SignalVariables) -> _Attributes:
    """Return the attributes of the receiver's address, as the stock exporters find them."""
    endpoint = variables.endpoint
    url = urlparse(endpoint if "//" in endpoint else f"//{endpoint}")
    default = 443 if variables.protocol == GRPC or url.scheme == "https" else 80
    found: _Attributes = {"server.address": url.hostname} if url.hostname else {}
    return {**found, "server.port": url.port or default}
