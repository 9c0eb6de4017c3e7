"""OTLP/JSON, as the Collector's file exporter writes it and its receivers read it.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import RequestCodec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_ext.formats.write.written import TraceToWrite
    from otel_ext.record.model import Record

__all__ = ["to_otlp_json"]

# So many spans are in one line at most: a collector limits the size of a request.
_MOST = 1_000


def to_otlp_json(traces: Iterable[TraceToWrite]) -> Iterator[bytes]:
    """Yield lines, each a request with spans; an open span has no end.

    The end of an abandoned span is one, with the cause as the attribute `otel_ext.abandoned`.
    """
    codec = RequestCodec(ENCODINGS["same-id"])
    for trace in traces:
        records = [
            _with_cause(trace.records[span.key])
            for _, span in trace.spans()
            if span.key in trace.records
        ]
        for at in range(0, len(records), _MOST):
            request = codec.encode("spans", records[at : at + _MOST])
            if request is not None:
                yield codec.to_json(request) + b"\n"


def _with_cause(record: Record) -> Record:
    """Return a record that is written as a span, also if its end is not the span's own."""
    if record.abandoned is None:
        return record
    # As in the log records of the OTLP exporter: first, so that it has room.
    cause = {"otel_ext.abandoned": record.abandoned}
    return record._replace(abandoned=None, attributes={**cause, **record.attributes, **cause})
