"""A real HTTP server on loopback as a destination, whose answers the test sets; and its sender."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, NamedTuple

import requests

from otel_ext.exporters.delivery.batcher import Batch
from otel_ext.exporters.delivery.json_lines import JsonLinesSender
from otel_ext.exporters.delivery.persistent.queue import PersistentQueue
from otel_ext.exporters.delivery.sender import Sender
from otel_ext.protocols import SendResult
from otel_ext.record.decode import decode_line
from otel_ext.record.model import CallSite, Process, Record
from otel_ext.runtime.counters import Counters
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.process.records import process_from
from tests.loopback import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from otel_ext.exporters.delivery.settings import RemoteSettings
    from otel_ext.protocols import Request, RequestSender

PROCESS = Process("b0-7-1-00000000", pid=7, resource={"service.name": "shop"})
SITE = CallSite("app.py", 1, "main")


class Answer(NamedTuple):
    """How a destination handles one request.

    Attributes:
        status: The status; 0 closes the connection without one.
        retry_after: The header of that name; empty for none.
        hang: Seconds to wait first.
        rejected: How many records are refused although the request is accepted.
    """

    status: int = 200
    retry_after: str = ""
    hang: float = 0.0
    rejected: int = 0


TAKEN = Answer()


class Destination:
    """Receives record lines by HTTP and keeps those that it accepts.

    Args:
        behave: Returns the answer to the records of a request.
    """

    def __init__(self, behave: Callable[[list[Record]], Answer] | None = None) -> None:
        self.behave: Callable[[list[Record]], Answer] = behave or (lambda _: TAKEN)
        self.taken: list[Record] = []
        self.requests = 0
        self.released = threading.Event()
        self._server = LoopbackServer(self._handler())
        self.url = f"http://127.0.0.1:{self._server.port}/"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        destination = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                records = decoded(body, int(self.headers["x-records"]))
                destination.requests += 1
                answer = destination.behave(records)
                if answer.hang and destination.released.wait(answer.hang):
                    self.close_connection = True
                    return
                if answer.status == 0:
                    self.close_connection = True
                    return
                if answer.status == 200:
                    destination.taken += records[answer.rejected :]
                self.send_response(answer.status)
                if answer.retry_after:
                    self.send_header("retry-after", answer.retry_after)
                self.send_header("x-rejected", str(answer.rejected))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base
                """Print nothing."""

        return Handler

    def names(self) -> list[str]:
        """Return the names of the accepted records."""
        return [record.name for record in self.taken]

    def close(self) -> None:
        """Stop, and release requests that hang."""
        self.released.set()
        self._server.close()


def decoded(body: bytes, count: int) -> list[Record]:
    """Return the records of a request, each with the facts of its process."""
    lines = [decode_line(line) for line in body.splitlines()]
    facts = {one.process.id: process_from(one.process.id, one.extra) for one in lines[:-count]}
    return [one._replace(process=facts[one.process.id]) for one in lines[-count:]]


class LineSender(JsonLinesSender):
    """Sends record lines by HTTP; a minimal sender.

    Args:
        url: The destination.
        timeout: Seconds that one request may take.
    """

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self.url = url
        self.timeout = timeout
        self.closed = 0

    def send(self, request: Request) -> SendResult:
        """Send one request."""
        headers = {"x-records": str(request.records)}
        try:
            answer = requests.post(
                self.url, data=request.body, headers=headers, timeout=self.timeout
            )
        except requests.RequestException as error:
            return SendResult(ok=False, retry=True, message=type(error).__name__)
        if answer.status_code == 200:
            return SendResult(ok=True, rejected=int(answer.headers["x-rejected"]))
        return SendResult(
            ok=False,
            retry=answer.status_code in {429, 503},
            retry_after=float(answer.headers.get("retry-after", 0)),
            message=f"answered {answer.status_code}",
        )

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


class Source:
    """The queue that a sender gets its batches from, in the tests of a sender alone."""

    def __init__(self) -> None:
        self.counts = Counters()
        self.health = HealthCell("test")
        self.is_filling = False
        self.settled: list[Batch] = []
        self.returned: list[Batch] = []

    def done(self, batch: Batch) -> None:
        """Note a batch that was sent, stored or given up."""
        self.settled.append(batch)

    def put_back(self, batch: Batch) -> None:
        """Note a batch that can be neither sent nor stored."""
        self.returned.append(batch)


class Sending:
    """A sender alone, with a batch for each call of `send`.

    Args:
        inner: Its destination.
        folder: The folder of records; None keeps nothing on disk.
        settings: When the destination counts as down.
    """

    def __init__(
        self, inner: RequestSender, folder: Path | None, settings: RemoteSettings | None = None
    ) -> None:
        self.source = Source()
        self.store = None if folder is None else PersistentQueue(inner, "test", folder)
        self.sender = Sender(
            inner, "", self.source, name="test", store=self.store, settings=settings
        )
        self.replay = self.sender.replay
        self.close = self.sender.close

    def send(self, records: Sequence[Record]) -> None:
        """Send a batch."""
        is_final = records[0].is_real_end
        self.sender.send(Batch([(record, 1) for record in records], is_final=is_final))

    @property
    def waiting(self) -> int:
        """How many records wait on disk."""
        return self.store.waiting if self.store is not None else 0

    @property
    def is_idle(self) -> bool:
        """Whether no batch waits for an answer, after a replay."""
        self.replay()
        return not self.sender.has_batch


@contextmanager
def destination(
    behave: Callable[[list[Record]], Answer] | None = None,
) -> Generator[Destination, None, None]:
    """Run a destination."""
    made = Destination(behave)
    try:
        yield made
    finally:
        made.close()


def final(name: str, number: int = 1, **attributes: object) -> Record:
    """Return the final record of a span."""
    now = time.time_ns()
    return Record(
        "span",
        "end",
        name,
        now,
        number,
        PROCESS,
        SITE,
        attributes,
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        start_ns=now - 1_000_000,
    )


def finals(count: int, name: str = "span") -> list[Record]:
    """Return final records of `count` spans, called `NAME 0` and so on."""
    return [final(f"{name} {number}", number + 1) for number in range(count)]
