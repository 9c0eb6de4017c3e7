"""Declares the settings for sending records to a collector over OTLP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Boolean, Choice, Duration, Integer, Size
from otel_ext.settings.units import GIB, HOUR, KIB, MIB

__all__ = ["OtlpEncoding", "OtlpSettings", "OtlpSpans"]

OtlpEncoding = Literal["events", "logfire", "same-id"]
OtlpSpans = Literal["auto", "always", "never", "replace"]


@dataclass(frozen=True)
class OtlpSettings:
    """What is sent to a collector, and how. In seconds and bytes."""

    enabled: bool = declare(
        Boolean(),
        "Also send records to a collector, over OTLP. OpenTelemetry's variables set the address"
        " and the rest: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_PROTOCOL` and so on.",
        default=False,
        name="otlp",
    )
    encoding: OtlpEncoding = declare(
        Choice(get_args(OtlpEncoding)),
        "How a start is sent: as a log record (`events`), as a pending span of Logfire"
        " (`logfire`), or as a span without end and with the same id (`same-id`).",
        default="events",
        name="otlp-encoding",
    )
    spans: OtlpSpans = declare(
        Choice(get_args(OtlpSpans)),
        "Whether ended spans are sent; `auto`: unless the program has its own OTLP exporter;"
        " `replace`: as well, and `OTEL_TRACES_EXPORTER=otlp` sets up no other one where"
        " `otel-ext run` starts OpenTelemetry.",
        default="auto",
        name="otlp-spans",
    )
    ends_only: bool = declare(
        Boolean(),
        "Send only the ends of spans: no starts, no logs, nothing about processes.",
        default=False,
        name="otlp-ends-only",
    )
    grace: float = declare(
        Duration(0.001, HOUR, zero="to send starts without a wait"),
        "How long a start waits before it is sent. If the span ends meanwhile, only the end is"
        " sent, unless a record of a span below it was sent before.",
        default=0.5,
        name="otlp-grace",
    )
    queue_size: int = declare(
        Integer(1, 10_000_000),
        "How many ended spans wait for the collector at most; of starts and of logs half as many"
        " each. Starts are dropped first.",
        default=8_192,
        name="otlp-queue-size",
    )
    queue_bytes: int = declare(
        Size(64 * KIB, 64 * GIB),
        "Estimated memory for waiting spans at most; for starts and for logs half of it each.",
        default=16 * MIB,
        name="otlp-queue-bytes",
    )
    exit_timeout: float = declare(
        Duration(0.001, HOUR, zero="for none"),
        "How long the program waits at exit for the last records to be sent.",
        default=2.0,
        name="otlp-exit-timeout",
    )
