"""Reads OTLP requests with log records, in protobuf and in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_ext.errors import RecordError
from otel_ext.exporters.otlp.encoding.spans import PROCESS_KEY
from otel_ext.formats.read.otlp_values import otlp_attributes, otlp_field
from otel_ext.formats.read.pieces import fields_of, objects_of
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Scope
from otel_ext.runtime.process.records import PROCESS_START
from otel_ext.server.ingest.cut import cut, cut_scope
from otel_ext.server.ingest.limits import DEFAULT_LIMITS
from otel_ext.server.ingest.otlp.counting import LOG, FieldCheck
from otel_ext.server.ingest.otlp.json_text import load_request, take_records
from otel_ext.server.ingest.otlp.log_records import log_record
from otel_ext.server.ingest.otlp.origin import Origin, Origins
from otel_ext.server.ingest.otlp.own_records import own_process_id, own_record
from otel_ext.server.ingest.otlp.received import received_json, received_log
from otel_ext.server.ingest.otlp.values import ValueBudget
from otel_ext.server.ingest.otlp.wire import groups_in
from otel_ext.server.ingest.processes import Processes
from otel_ext.server.ingest.result import Outcome, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.formats.read.pieces import Fields
    from otel_ext.server.ingest.limits import IngestLimits
    from otel_ext.server.ingest.numbers import Numbers
    from otel_ext.server.ingest.otlp.received import Received
    from otel_ext.server.ingest.otlp.wire import Group
    from otel_ext.server.ingest.result import Ingested

__all__ = ["read_logs", "read_logs_json"]

_PATH: Final = ("resourceLogs", "scopeLogs", "logRecords")


def read_logs(body: bytes, numbers: Numbers, limits: IngestLimits = DEFAULT_LIMITS) -> Ingested:
    """Return the lines of the log records in an `ExportLogsServiceRequest` in protobuf.

    Those that otel-ext's exporter has made of its own records become these records again, spans
    that are still open among them; all others become logs, or events if they have a name.

    Args:
        body: The request, no longer compressed.
        numbers: Numbers the records of all requests.
        limits: How much it may contain.

    Raises:
        MalformedError: It is not protobuf, or has far too many log records.

    >>> from otel_ext.server.ingest.numbers import Numbers
    >>> read_logs(b"", Numbers())
    Ingested(lines=b'', records=0, rejected=0, reasons='')
    """
    made = _Logs(limits, numbers)
    origins = Origins(limits, made.check, made.outcome)
    groups, count, left_out = groups_in(body, limits.records)
    made.seq = numbers.first_of(body, count)
    for group in groups:
        try:
            origin = origins.of(group)
        except RecordError as error:
            made.outcome.reject(str(error), len(group.records))
        else:
            made.read_group(group, origin)
    return made.result(left_out)


def read_logs_json(
    body: bytes, numbers: Numbers, limits: IngestLimits = DEFAULT_LIMITS
) -> Ingested:
    """Return the lines of the log records in such a request in JSON.

    Args:
        body: As for `read_logs`.
        numbers: As for `read_logs`.
        limits: As for `read_logs`.

    Raises:
        MalformedError: It is not a JSON object with a list of log records, or too deep or large.

    >>> from otel_ext.server.ingest.numbers import Numbers
    >>> read_logs_json(b"{}", Numbers())
    Ingested(lines=b'', records=0, rejected=0, reasons='')
    """
    made = _Logs(limits, numbers)
    request = load_request(body, _PATH[0], limits)
    count, left_out = take_records(request, _PATH, limits.records)
    made.seq = numbers.first_of(body, count)
    lost: list[str] = []
    for origin, fields in _objects(request, lost):
        made.read_object(fields, origin)
    for reason in lost:
        made.outcome.note(reason)
    made.outcome.rejected += count - made.seen
    return made.result(left_out)


class _Logs:
    """Adds the log records of one request to its outcome.

    Args:
        limits: How much it may contain.
        numbers: Knows the time.

    Attributes:
        seq: The number of the next record.
        seen: How many log records were added, or rejected.
    """

    def __init__(self, limits: IngestLimits, numbers: Numbers) -> None:
        self.outcome = Outcome(limits.line_bytes)
        self.budget, self.check = ValueBudget(limits.values), FieldCheck(limits)
        self.seq = self.seen = 0
        self._limits = limits
        self._clock = numbers.clock
        self._processes = Processes(self.outcome.write)

    def read_group(self, group: Group, origin: Origin) -> None:
        """Add the log records of one scope in protobuf."""
        for data in group.records:
            try:
                self.check.check(data, LOG)
                log = LogRecord.FromString(data)
                self._add(received_log(log, self.budget, self._clock), origin)
            except DecodeError:
                self._reject("it is not valid protobuf")
            except Exception as error:  # noqa: BLE001 - a hostile record may raise anything
                self._reject(reason_of(error))

    def read_object(self, fields: Fields, origin: Origin) -> None:
        """Add one log record in JSON."""
        try:
            self._add(received_json(fields, self._clock), origin)
        except Exception as error:  # noqa: BLE001 - as above
            self._reject(reason_of(error))

    def result(self, left_out: int) -> Ingested:
        """Return what became of the request, of which some records are left out."""
        self.outcome.reject_beyond(self._limits.records, "log records", left_out)
        return self.outcome.result()

    def _reject(self, reason: str) -> None:
        self.seq += 1
        self.seen += 1
        self.outcome.reject(f"a log record: {reason}")

    def _add(self, received: Received, origin: Origin) -> None:
        process_id = own_process_id(received)
        process = self._processes.find(origin.resource, process_id or origin.process_id)
        record = own_record(received, process, origin.scope) if process_id else None
        if record is None:
            record = log_record(received, process, origin.scope, self.seq)
        line = encode_line(cut(record, self._limits))
        if record.kind == "process" and record.name == PROCESS_START:
            self._processes.note(process)
        self._processes.introduce(process, record.time_ns)
        self.outcome.add(line)
        self.seq += 1
        self.seen += 1


def _objects(request: Fields, lost: list[str]) -> Iterator[tuple[Origin, Fields]]:
    """Yield the log records of a request in JSON; note in `lost` what is not an object."""
    for of_resource in objects_of(otlp_field(request, _PATH[0]), _PATH[0], lost):
        resource = otlp_attributes(fields_of(of_resource.get("resource")))
        for of_scope in objects_of(otlp_field(of_resource, _PATH[1]), _PATH[1], lost):
            scope = fields_of(of_scope.get("scope"))
            name, version = str(scope.get("name") or ""), str(scope.get("version") or "")
            process_id = otlp_attributes(scope).get(PROCESS_KEY)
            made_by = cut_scope(Scope(name, version)) if name else None
            origin = Origin(resource, made_by, process_id)
            for log in objects_of(otlp_field(of_scope, _PATH[2]), _PATH[2], lost):
                yield origin, log
