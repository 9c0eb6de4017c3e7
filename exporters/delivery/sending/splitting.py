"""Sending a batch so that one record that is refused does not take the others with it.

A destination that refuses a batch does not say which record it minds. So the batch
is halved until that one is found. Where every record is refused, the destination
decides what becomes of them: if it says that the data is bad, they are set aside;
if not, a wrong address or password may refuse all alike, and they are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.protocols import SendResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.protocols import RecordSender
    from otel_ext.record.model import Record

__all__ = ["Delivery", "Refused", "deliver"]

# So many records, spread over the batch, must be refused one by one before the
# destination is held to refuse everything.
_SAMPLES: Final = 16


class Refused(NamedTuple):
    """A record that the destination refuses by itself, and why."""

    record: Record
    reason: str


class Delivery(NamedTuple):
    """What became of a batch.

    Attributes:
        result: The last answer that was not good, or a good one.
        sent: How many records the destination has taken.
        rejected: How many of a request that it took it refused all the same.
        refused: Records that were found to be refused, each by itself.
        unsent: Records to be sent again.
        maybe_sent: Whether `unsent` may have arrived: there was no clear answer.
        refuses_all: Whether it refuses whatever it is sent.
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
    """Send a batch; halve it where it is refused, until what is refused is found.

    Args:
        sender: Sends a batch; one that raises has refused it.
        records: The batch.
        accepts_records: Whether the destination is known to take records, so that a batch
            refused to the last record is the records' fault.

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
    """Sends parts of one batch and keeps the account."""

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
        except Exception as error:  # noqa: BLE001 - a sender is anybody's code
            return SendResult(ok=False, message=f"{type(error).__name__}: {error}")
        if result.ok:
            self.sent += len(records) - result.rejected
            self.rejected += result.rejected
        return result

    def split(
        self, records: Sequence[Record], result: SendResult, *, accepts_records: bool
    ) -> Delivery:
        """Find what is refused in a batch that was refused as a whole."""
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
        # It has answered, so it is neither down nor overloaded.
        return self.outcome(SendResult(ok=True, message=result.message))

    def _stopped(self, rest: Sequence[Record], result: SendResult) -> Delivery:
        self.unsent.extend(rest)
        return self.outcome(result, maybe_sent=True)

    def outcome(
        self, result: SendResult, *, maybe_sent: bool = False, refuses_all: bool = False
    ) -> Delivery:
        """Return the account."""
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
    # The first half comes off the list first.
    return [records[middle:], records[:middle]]


def _sample_indexes(count: int) -> list[int]:
    """Return up to `_SAMPLES` places, evenly spread over `count`."""
    samples = min(count, _SAMPLES)
    return [number * count // samples for number in range(samples)]
