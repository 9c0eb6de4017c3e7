"""Contracts between the parts, as protocols: implement these to plug in.

The way of a record: a processor makes it, an exporter takes it.
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
    "RecordSender",
    "Refusal",
    "SampleDecision",
    "SendResult",
    "SignalSender",
]

Encoding: TypeAlias = Callable[["Record"], bytes]
"""Scheduler a record into one line of JSON in UTF-8, its newline included."""


@runtime_checkable
class RecordExporter(Protocol):
    """Takes records and brings them somewhere.

    An exporter that never waits, for a peer, a disk or a lock, says so by an attribute
    `never_waits = True`. It is called on the thread that started or ended the span.
    Any other is called on a thread of its own, and that thread is waited for, half a
    second at most: so one that hangs holds up nobody. What it raises is guarded.

    An exporter that never runs code which could start spans may say so by an
    attribute `never_starts_spans = True`; the processor then need not watch for recursion.
    """

    def export(self, record: Record) -> None:
        """Take one record."""
        ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Bring out all records taken so far; whether that was done in time."""
        ...

    def shutdown(self) -> None:
        """Flush and stop; later records are ignored. Twice is once."""
        ...


@runtime_checkable
class LineExporter(RecordExporter, Protocol):
    """An exporter that writes encoded lines, and lets the caller choose how.

    `CompatExporter` uses it to select an encoding instead of encoding twice.
    """

    def export_as(self, record: Record, encoding: Encoding) -> None:
        """Take one record, to be written as `encoding` renders it."""
        ...


Refusal: TypeAlias = Literal["", "data", "signal"]
"""Why a batch is refused for good: `data`, these records are wrong; `signal`, the
destination takes no records of this kind; empty, it does not say."""


class SendResult(NamedTuple):
    """What became of a batch that was sent.

    Attributes:
        ok: Whether the destination has taken it, but for what `rejected` says.
        retry: Whether sending the same again may help; only where `ok` is false.
        retry_after: Seconds that the destination asks to wait; 0 if it does not.
        rejected: How many records of a batch that was taken the destination refused.
        kept: How many of them are not sent yet, but will be: whoever returns this sees
            to it.
        message: Why, in the destination's words or ours; empty if all is well.
        refusal: Why it is refused for good; only where `ok` and `retry` are false.
    """

    ok: bool
    retry: bool = False
    retry_after: float = 0.0
    rejected: int = 0
    kept: int = 0
    message: str = ""
    refusal: Refusal = ""


@runtime_checkable
class RecordSender(Protocol):
    """Sends batches of records to one destination; always called on a background thread.

    Senders can be wrapped in one another. A forked child must be able to go on
    with what it inherits: a sender opens a connection of its own there.
    """

    def send(self, records: Sequence[Record]) -> SendResult:
        """Send one batch and wait for the answer; does not raise for what a peer does."""
        ...

    def close(self) -> None:
        """Let go of connections and give up what is under way. Twice is once."""
        ...


@runtime_checkable
class SignalSender(RecordSender, Protocol):
    """A sender whose destination may take one signal and refuse another.

    Each signal then has a circuit and a backlog of its own, and `send` may be called
    on one thread for each of them at the same time.
    """

    signals: tuple[str, ...]
    """Their names, those that matter most first."""

    def signal_of(self, record: Record) -> str:
        """Return the name of the signal that carries `record`."""
        ...


SampleDecision: TypeAlias = Callable[["Record"], "bool | None"]
"""Tells whether the records of a span, and a log in it, may leave the process.

True: send; False: drop; None: not known yet, so the record waits and is asked
about again. Called on a background thread.
"""
