"""`JsonLinesSender`: the base class of a destination of your own, which gets lines of JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import orjson

from otel_ext.protocols import Request
from otel_ext.record.codec import encode_line
from otel_ext.record.model import META_KEY
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.records import process_start_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.protocols import SendResult
    from otel_ext.record.model import Record

__all__ = ["JsonLinesSender"]


class JsonLinesSender(ABC):
    """Sends records as lines of JSON, as they are in the files; a `RequestSender`.

    A subclass has `send`, and `close` if it must close something. Pass it to
    `ResilientExporter`, which adds retries and a queue on disk.

    The body of a request starts with a `process.start` line for each process that has
    records in it, so that the lines of these records, which have only the id of their
    process, can be understood without others.

    >>> import json
    >>> from otel_ext.protocols import SendResult
    >>> from otel_ext.record.model import Process, Record
    >>> class Printer(JsonLinesSender):
    ...     def send(self, request):
    ...         for line in request.body.splitlines():
    ...             print(json.loads(line)["__tracer_meta__"]["event"])
    ...         return SendResult(ok=True)
    >>> printer = Printer()
    >>> request = printer.encode("", [Record("event", None, "deployed", 0, 1, Process("p"))])
    >>> printer.send(request).ok
    process.start
    deployed
    True
    """

    signals: tuple[str, ...] = ("",)

    def signal_of(self, record: Record) -> str:
        """Return the only signal, whatever the record."""
        return self.signals[0]

    def encode(self, signal: str, records: Sequence[Record]) -> Request | None:
        """Encode each record as a line; leave out and count those that cannot be encoded."""
        processes = {record.process.id: record.process for record in records}
        facts = [_line_of(process_start_record(one, 0)) for one in processes.values()]
        lines = [line for record in records if (line := _line_of(record))]
        return Request(signal, b"".join([*facts, *lines]), len(lines)) if lines else None

    def split(self, request: Request) -> Sequence[Request]:
        """Return the two halves of a request, each with the lines about processes."""
        facts, lines = _facts_and_lines(request)
        middle = len(lines) // 2
        if not middle:
            return [request]
        return [
            request._replace(body=b"".join([*facts, *half]), records=len(half))
            for half in (lines[:middle], lines[middle:])
        ]

    def join(self, requests: Sequence[Request]) -> Request:
        """Return one request with the records of several, and one line about each process.

        Raises:
            ValueError: One of them lacks lines.
        """
        facts: dict[object, bytes] = {}
        lines: list[bytes] = []
        for request in requests:
            about_processes, own = _facts_and_lines(request)
            if not own:
                raise ValueError("a request without the lines of its records")
            for line in about_processes:
                facts.setdefault(orjson.loads(line)[META_KEY]["process"], line)
            lines += own
        return Request(requests[0].signal, b"".join([*facts.values(), *lines]), len(lines))

    def to_json(self, request: Request) -> bytes:
        """Return the object of a single record, or an array of several; else the body as text."""
        lines = [line.rstrip() for line in _facts_and_lines(request)[1]]
        if not lines:
            return orjson.dumps(request.body.decode(errors="replace"))
        return lines[0] if len(lines) == 1 else b"[%b]" % b",".join(lines)

    @abstractmethod
    def send(self, request: Request) -> SendResult:
        """Send one request; return whether it was accepted, or whether and when to try again.

        Called on a thread of its own, so it may take as long as it needs. Raising counts as a
        refusal.

        Args:
            request: Its `body` has lines of JSON in UTF-8.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Close connections and abort requests in progress. Idempotent."""


def _line_of(record: Record) -> bytes:
    """Return the line of a record; nothing if it cannot be encoded."""
    try:
        return encode_line(record)
    except Exception as error:  # noqa: BLE001 - the others must be sent
        COUNTERS.add("remote.not_encoded")
        report_problem("a record is lost, since it cannot be encoded", error)
        return b""


def _facts_and_lines(request: Request) -> tuple[list[bytes], list[bytes]]:
    """Return the lines about processes, and those of the records; none if lines are missing."""
    lines = request.body.splitlines(keepends=True)
    others = len(lines) - request.records
    return ([], []) if others < 0 else (lines[:others], lines[others:])
