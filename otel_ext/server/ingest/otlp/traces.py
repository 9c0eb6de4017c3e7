"""Reads OTLP requests with spans, in protobuf and in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_ext.errors import RecordError
from otel_ext.formats.read.imported import Rejected, label_of
from otel_ext.formats.read.otlp import read_otlp
from otel_ext.record.codec import encode_line
from otel_ext.server.ingest.cut import cut, cut_scope
from otel_ext.server.ingest.limits import DEFAULT_LIMITS
from otel_ext.server.ingest.otlp.counting import SPAN, FieldCheck
from otel_ext.server.ingest.otlp.json_text import load_request, take_records
from otel_ext.server.ingest.otlp.origin import Origins
from otel_ext.server.ingest.otlp.spans import SpanSource, span_record
from otel_ext.server.ingest.otlp.values import ValueBudget
from otel_ext.server.ingest.otlp.wire import groups_in
from otel_ext.server.ingest.processes import INTRODUCTION, Processes, received
from otel_ext.server.ingest.result import Outcome, reason_of

if TYPE_CHECKING:
    from otel_ext.server.ingest.limits import IngestLimits
    from otel_ext.server.ingest.numbers import Numbers
    from otel_ext.server.ingest.otlp.wire import Group
    from otel_ext.server.ingest.result import Ingested

__all__ = ["read_traces", "read_traces_json"]

_PATH: Final = ("resourceSpans", "scopeSpans", "spans")


def read_traces(body: bytes, numbers: Numbers, limits: IngestLimits = DEFAULT_LIMITS) -> Ingested:
    """Return the lines of the spans in an `ExportTraceServiceRequest` in protobuf.

    A span without an end becomes a start, any other one an end. One that is damaged costs no
    other.

    Args:
        body: The request, no longer compressed.
        numbers: Numbers the records of all requests.
        limits: How much it may contain.

    Raises:
        MalformedError: It is not protobuf, or has far too many spans.

    >>> from otel_ext.server.ingest.numbers import Numbers
    >>> read_traces(b"", Numbers())
    Ingested(lines=b'', records=0, rejected=0, reasons='')
    """
    outcome = Outcome(limits.line_bytes)
    budget, check = ValueBudget(limits.values), FieldCheck(limits)
    processes, origins = Processes(outcome.write), Origins(limits, check, outcome)
    groups, count, left_out = groups_in(body, limits.records)
    seq = numbers.first_of(body, count)
    for group in groups:
        try:
            resource, scope, process_id = origins.of(group)
        except RecordError as error:
            outcome.reject(str(error), len(group.records))
        else:
            process = processes.find(resource, process_id)
            source = SpanSource(process, scope, limits, budget, outcome.note)
            _read_group(group, seq, source, processes, check, outcome)
        seq += len(group.records)
    outcome.reject_beyond(limits.records, "spans", left_out)
    return outcome.result()


def _read_group(
    group: Group,
    seq: int,
    source: SpanSource,
    processes: Processes,
    check: FieldCheck,
    outcome: Outcome,
) -> None:
    """Add the records of the spans of one scope, of which the first one has the number `seq`."""
    is_first = True
    for number, data in enumerate(group.records, seq):
        span: Span | None = None
        try:
            check.check(data, SPAN)
            span = Span.FromString(data)
            record = span_record(span, len(data), number, source)
            line = encode_line(record)
        except DecodeError:
            outcome.reject("a span: it is not valid protobuf")
        except Exception as error:  # noqa: BLE001 - a hostile span may raise anything
            label = label_of(None if span is None else span.name)
            outcome.reject(f"{label}: {reason_of(error)}")
        else:
            if is_first:
                is_first = False
                processes.introduce(source.process, record.start_ns or record.time_ns)
            outcome.add(line)


def read_traces_json(
    body: bytes, numbers: Numbers, limits: IngestLimits = DEFAULT_LIMITS
) -> Ingested:
    """Return the lines of the spans in such a request in JSON.

    Args:
        body: As for `read_traces`.
        numbers: As for `read_traces`.
        limits: As for `read_traces`.

    Raises:
        MalformedError: It is not a JSON object with a list of spans, or too deep or too large.

    >>> from otel_ext.server.ingest.numbers import Numbers
    >>> read_traces_json(b"{}", Numbers())
    Ingested(lines=b'', records=0, rejected=0, reasons='')
    """
    outcome = Outcome(limits.line_bytes)
    request = load_request(body, _PATH[0], limits)
    count, left_out = take_records(request, _PATH, limits.records)
    seq, made = numbers.first_of(body, count), 0
    for item in read_otlp(request, received()):
        if isinstance(item, Rejected):
            outcome.note(item.reason)
        elif item.kind == "process":
            outcome.write(encode_line(item._replace(seq=INTRODUCTION)))
        else:
            record = item._replace(seq=seq + made, scope=cut_scope(item.scope))
            made += 1
            try:
                outcome.add(encode_line(cut(record, limits)))
            except Exception as error:  # noqa: BLE001 - a hostile span may raise anything
                outcome.reject(f"{label_of(item.name)}: {reason_of(error)}")
    outcome.rejected += count - made  # those of which the reader has made no record
    outcome.reject_beyond(limits.records, "spans", left_out)
    return outcome.result()
