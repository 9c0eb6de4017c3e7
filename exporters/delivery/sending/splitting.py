"""Sends a batch so that one refused record does not affect the others.

A destination that refuses a batch does not report which record is bad. So the batch is
halved until that record is found. If every record is refused, the reason decides: if the
answer says that the data is bad, they become dead letters; if not, a wrong address or
password may be the cause, and they are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.protocols import SendResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.protocols import RecordSender
    from otel_ext.record.model import Record

__all__ = ["Delivery", "Refused", "deliver"]

# How many records, spread over the batch, must be refused one by one before the
# destination counts as refusing everything.
_SAMPLES: Final = 16


class Refused(NamedTuple):
    """A record that the destination refuses, and the reason."""

    record: Record
    reason: str


class Delivery(NamedTuple):
    """The outcome of sending a batch.

    Attributes:
        result: The last answer that was a failure, else a success.
        sent: How many records the destination has accepted.
        rejected: How many records it has refused in requests that it accepted.
        refused: Records that were refused when sent alone.
        unsent: Records to be sent again.
        maybe_sent: Whether `unsent` may have arrived: there was no clear answer.
        refuses_all: Whether the destination refuses everything.
    """

    result: SendResult
    sent: int = 0
    rejected: int = 0
    refused: tuple[Refused, ...] = ()
    unsent: tuple[Record, ...] = ()
    maybe_sent: bool = False
    refuses_all: bool = False


def deliver(
    sender: RecordSender, records: Sequence[Record], *, accepts_records: bool = False
) -> Delivery:
    """Send a batch; if it is refused, halve it until the bad records are found.

    Args:
        sender: Sends a batch; raising counts as a refusal.
        records: The batch.
        accepts_records: Whether the destination is known to accept records; then a batch
            of which every record is refused is due to the records.

    >>> from otel_ext.record.model import Process, Record
    >>> class Picky:
    ...     def send(self, records):
    ...         bad = any(record.name == "bad" for record in records)
    ...         return SendResult(ok=not bad, message="bad" if bad else "")
    ...
    ...     def close(self): ...
    >>> batch = [
    ...     Record("log", None, "bad" if n == 5 else "good", 0, n, Process("p")) for n in range(9)
    ... ]
    >>> done = deliver(Picky(), batch)
    >>> done.sent, [refused.record.seq for refused in done.refused]
    (8, [5])
    """
    splitter = _Splitter(sender)
    result = splitter.send(records)
    if result.ok:
        return splitter.outcome(result)
    if result.retry:
        splitter.unsent.extend(records)
        return splitter.outcome(result, maybe_sent=True)
    return splitter.split(records, result, accepts_records=accepts_records)


class _Splitter:
    """Sends parts of one batch and collects the outcome."""

    def __init__(self, sender: RecordSender) -> None:
        self._sender = sender
        self.sent = 0
        self.rejected = 0
        self.refused: list[Refused] = []
        self.unsent: list[Record] = []

    def send(self, records: Sequence[Record]) -> SendResult:
        """Send one part; an exception counts as a refusal."""
        try:
            result = self._sender.send(records)
        except Exception as error:  # noqa: BLE001 - the sender may be the user's
            return SendResult(ok=False, message=f"{type(error).__name__}: {error}")
        if result.ok:
            self.sent += len(records) - result.rejected
            self.rejected += result.rejected
        return result

    def split(
        self, records: Sequence[Record], result: SendResult, *, accepts_records: bool
    ) -> Delivery:
        """Find the bad records in a batch that was refused as a whole."""
        rest: list[Record] = list(records)
        if len(rest) == 1 and result.refusal == "data":
            return self._refuse_all(rest, result)
        if not accepts_records:
            for index in _sample_indexes(len(records)):
                result = self.send([records[index]])
                if not result.ok and result.retry:
                    return self._stopped(rest, result)
                rest = [record for record in rest if record is not records[index]]
                if result.ok:
                    break
                self.refused.append(Refused(records[index], result.message))
            else:
                if result.refusal == "data":
                    return self._refuse_all(rest, result)
                self.refused.clear()
                self.unsent.extend(records)
                return self.outcome(result, refuses_all=True)
        return self._halve(_halves(rest), result)

    def _halve(self, parts: list[Sequence[Record]], result: SendResult) -> Delivery:
        while parts:
            part = parts.pop()
            if not part:
                continue
            result = self.send(part)
            if result.ok:
                continue
            if result.retry:
                return self._stopped([*part, *(one for more in parts for one in more)], result)
            if len(part) == 1:
                self.refused.append(Refused(part[0], result.message))
            else:
                parts += _halves(part)
        return self.outcome(SendResult(ok=True))

    def _refuse_all(self, rest: Sequence[Record], result: SendResult) -> Delivery:
        self.refused += [Refused(record, result.message) for record in rest]
        # The destination has answered, so it is neither down nor overloaded.
        return self.outcome(SendResult(ok=True, message=result.message))

    def _stopped(self, rest: Sequence[Record], result: SendResult) -> Delivery:
        self.unsent.extend(rest)
        return self.outcome(result, maybe_sent=True)

    def outcome(
        self, result: SendResult, *, maybe_sent: bool = False, refuses_all: bool = False
    ) -> Delivery:
        """Return the outcome."""
        return Delivery(
            result,
            self.sent,
            self.rejected,
            tuple(self.refused),
            tuple(self.unsent),
            maybe_sent=maybe_sent,
            refuses_all=refuses_all,
        )


def _halves(records: Sequence[Record]) -> list[Sequence[Record]]:
    middle = (len(records) + 1) // 2
    # The first half last, since parts are popped from the end.
    return [records[middle:], records[:middle]]


def _sample_indexes(count: int) -> list[int]:
    """Return up to `_SAMPLES` indexes, evenly spread over `count`."""
    samples = min(count, _SAMPLES)
    return [number * count // samples for number in range(samples)]
