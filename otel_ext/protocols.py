"""The protocols between the parts: implement one to plug in your own.

A processor makes records and passes each to an exporter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.record.model import Record

__all__ = [
    "Encoding",
    "LineExporter",
    "RecordExporter",
    "Refusal",
    "Request",
    "RequestSender",
    "SampleDecision",
    "SendResult",
]

Encoding: TypeAlias = Callable[["Record"], bytes]
"""Encodes a record as one line of JSON in UTF-8, with its newline."""


@runtime_checkable
class RecordExporter(Protocol):
    """Writes or sends records.

    An exporter that never waits for a peer, a disk or a lock has an attribute
    `never_waits = True`; it is called on the thread that started or ended the span.
    Any other is called on its own thread, and the caller waits for it half a second at
    most, so an exporter that hangs does not hold up the program. Its exceptions are caught.

    The records of a processor are sanitised: their values are plain, bounded in size and,
    with redaction, without secrets. An exporter that does that itself has an attribute
    `needs_raw_records = True`; so has a wrapper around one.

    An exporter that never runs code which could start spans has an attribute
    `never_starts_spans = True`; the processor then skips its guard against recursion.
    """

    def export(self, record: Record) -> None:
        """Accept one record."""
        ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write and send all records so far; return whether that was done in time."""
        ...

    def shutdown(self) -> None:
        """Flush and stop; later records are ignored. Idempotent."""
        ...


@runtime_checkable
class LineExporter(RecordExporter, Protocol):
    """An exporter that writes encoded lines, and lets the caller choose the encoding.

    `CompatExporter` uses it to avoid encoding twice.
    """

    def export_as(self, record: Record, encoding: Encoding) -> None:
        """Accept one record, to be written as `encoding` encodes it."""
        ...


Refusal: TypeAlias = Literal["", "data", "signal"]
"""Why a request is refused for good: `data`, the records are not valid; `signal`, the
destination accepts no records of this kind; empty, the reason is not known."""


class SendResult(NamedTuple):
    """The outcome of sending a request.

    Attributes:
        ok: Whether the destination accepted it, except for `rejected` records.
        retry: Whether sending it again may succeed; only if `ok` is false.
        retry_after: Seconds that the destination asks to wait, or 0.
        rejected: How many records of an accepted request the destination refused.
        message: The reason, in the destination's words or ours; empty without a problem.
        refusal: Why it is refused for good; only if `ok` and `retry` are false.
    """

    ok: bool
    retry: bool = False
    retry_after: float = 0.0
    rejected: int = 0
    message: str = ""
    refusal: Refusal = ""


class Request(NamedTuple):
    """An encoded request: as it is sent, and as it waits on disk.

    Attributes:
        signal: The name of the signal that carries it, such as `spans`; empty for a sender
            without signals.
        body: What is sent.
        records: How many records it has.
    """

    signal: str
    body: bytes
    records: int


@runtime_checkable
class RequestSender(Protocol):
    """Encodes records as requests and sends them to one destination.

    A destination may accept one signal (traces, logs) and refuse another. So each signal
    has its own circuit breaker and persistent queue, and `send` is called on one thread for
    each signal, at the same time. The other methods are called on background threads, too.
    A sender must work in a forked child, where it opens its own connection.
    """

    signals: tuple[str, ...]
    """Their names, the most important first; `("",)` if there is one only."""

    def signal_of(self, record: Record) -> str:
        """Return the name of the signal that carries `record`."""
        ...

    def encode(self, signal: str, records: Sequence[Record]) -> Request | None:
        """Encode records of one signal; None if none of them can be encoded.

        A record that cannot be encoded is counted and reported, and does not raise.
        """
        ...

    def split(self, request: Request) -> Sequence[Request]:
        """Return the two halves of a request; one with a single record alone.

        The request may come from an earlier run of another version. One whose body cannot
        be parsed is returned alone.
        """
        ...

    def join(self, requests: Sequence[Request]) -> Request:
        """Return one request with the records of several small ones of one signal.

        Called for those that have waited on disk; raising sends each of them alone.
        """
        ...

    def to_json(self, request: Request) -> bytes:
        """Return a request as one JSON value in one line, for people to read."""
        ...

    def send(self, request: Request) -> SendResult:
        """Send one request and wait for the response; failures of the peer do not raise."""
        ...

    def close(self) -> None:
        """Close connections and abort requests in progress. Idempotent."""
        ...


SampleDecision: TypeAlias = Callable[["Record"], "bool | None"]
"""Decides whether the records of a span, and the logs in it, are sent.

True: send; False: drop; None: not known yet, so the record waits and the function is
called again. Called on a background thread.
"""
