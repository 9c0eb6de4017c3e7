"""Sends a request so that one refused record does not affect the others.

A destination that refuses a request does not report which record is bad. So the request
is halved until that record is found. If every record is refused, the reason decides: if the
answer reports bad data, they become dead letters; if not, a wrong address or
password may be the cause, and they are kept.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.protocols import SendResult
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_ext.protocols import Request, RequestSender

__all__ = ["Delivery", "Refused", "deliver", "split_until"]

# How many records, spread over the request, must be refused one by one before the
# destination counts as refusing everything.
_SAMPLES: Final = 16
# The maximum of bytes that are sent at a time; receivers accept 4 MiB, with some overhead.
_MAX_BODY: Final = 3_670_016


class Refused(NamedTuple):
    """A request that the destination refuses, of one record if it can be split; and why."""

    request: Request
    reason: str


class Delivery(NamedTuple):
    """The outcome of sending a request.

    Attributes:
        result: The last answer that was a failure, else a success.
        sent: How many records the destination has accepted.
        rejected: How many records it has refused in requests that it accepted.
        refused: Records that were refused when sent alone.
        unsent: Requests to be sent again.
        maybe_sent: Whether `unsent` may have arrived: there was no clear answer.
        refuses_all: Whether the destination refuses everything.
    """

    result: SendResult
    sent: int = 0
    rejected: int = 0
    refused: tuple[Refused, ...] = ()
    unsent: tuple[Request, ...] = ()
    maybe_sent: bool = False
    refuses_all: bool = False

    @property
    def unsent_records(self) -> int:
        """How many records `unsent` has."""
        return sum(request.records for request in self.unsent)

    @property
    def refused_records(self) -> int:
        """How many records `refused` has."""
        return sum(one.request.records for one in self.refused)


def deliver(sender: RequestSender, request: Request, *, accepts_records: bool = False) -> Delivery:
    """Send a request; if it is refused, halve it until the bad records are found.

    One that is larger than receivers accept is sent in parts.

    Args:
        sender: Sends a request; raising counts as a refusal.
        request: The request.
        accepts_records: Whether the destination is known to accept records; then a request
            of which every record is refused is due to the records.

    >>> from otel_ext.exporters.delivery.json_lines import JsonLinesSender
    >>> from otel_ext.record.model import Process, Record
    >>> class Picky(JsonLinesSender):
    ...     def send(self, request):
    ...         bad = b"bad" in request.body
    ...         return SendResult(ok=not bad, message="bad" if bad else "")
    >>> names = ["good", "good", "bad", "good", "good"]
    >>> records = [Record("log", None, name, 0, 1, Process("p")) for name in names]
    >>> done = deliver(Picky(), Picky().encode("", records))
    >>> done.sent, done.refused_records
    (4, 1)
    """
    delivering = _Delivering(sender)
    *before, last = split_until(sender, request, _can_be_sent)
    message = ""
    for index, part in enumerate(before):
        done = delivering.deliver(part, accepts_records=accepts_records)
        if done.unsent:
            return done._replace(unsent=(*done.unsent, *before[index + 1 :], last))
        message = done.result.message or message
        accepts_records = accepts_records or done.sent + done.rejected > 0
    done = delivering.deliver(last, accepts_records=accepts_records)
    return done._replace(result=done.result._replace(message=done.result.message or message))


def split_until(
    sender: RequestSender, request: Request, is_small: Callable[[Request], bool]
) -> list[Request]:
    """Halve a request until each part `is_small` or cannot be split."""
    small: list[Request] = []
    rest = [request]
    while rest:
        part = rest.pop()
        halves = [part] if is_small(part) else _halves(sender, part)
        if len(halves) == 1:
            small.append(part)
        else:
            rest += reversed(halves)
    return small


def _halves(sender: RequestSender, request: Request) -> list[Request]:
    """Return the halves of a request; the request alone if it cannot be split."""
    if request.records <= 1:
        return [request]
    try:
        halves = [half for half in sender.split(request) if half.records > 0]
    except Exception as error:  # noqa: BLE001 - the sender may be the user's
        report_problem("a request cannot be split", error)
        return [request]
    are_smaller = bool(halves) and max(half.records for half in halves) < request.records
    return halves if are_smaller else [request]


class _Delivering:
    """Sends parts of one request and collects the outcome."""

    def __init__(self, sender: RequestSender) -> None:
        self._sender = sender
        self._sent = 0
        self._rejected = 0
        self._refused: list[Refused] = []

    def deliver(self, request: Request, *, accepts_records: bool) -> Delivery:
        """Send one part, find its bad records, and return the outcome so far."""
        result = self.send(request)
        if result.ok:
            return self.outcome(result)
        if result.retry:
            return self.stopped([request], result)
        return self.find_refused(request, result, accepts_records=accepts_records)

    def send(self, request: Request) -> SendResult:
        """Send one part; an exception counts as a refusal."""
        try:
            result = _checked(self._sender.send(request), request.records)
        except Exception as error:  # noqa: BLE001 - the sender may be the user's
            return SendResult(ok=False, message=f"{type(error).__name__}: {error}")
        if result.ok:
            self._sent += request.records - result.rejected
            self._rejected += result.rejected
        return result

    def find_refused(
        self, request: Request, result: SendResult, *, accepts_records: bool
    ) -> Delivery:
        """Find the bad records in a request that was refused as a whole."""
        rest = _halves(self._sender, request)
        tried: list[Refused] = []
        if len(rest) == 1:
            tried, rest = [Refused(request, result.message)], []
        while not accepts_records and rest and len(tried) < _SAMPLES:
            sample = self._take_sample(rest)
            result = self.send(sample)
            if not result.ok and result.retry:
                return self.stopped([sample, *(one.request for one in tried), *rest], result)
            accepts_records = result.ok
            if not result.ok:
                tried.append(Refused(sample, result.message))
        if accepts_records:
            self._refused += tried
            return self._send_parts(rest)
        if result.refusal != "data":
            return self.outcome(result)._replace(unsent=(request,), refuses_all=True)
        singles = [one for part in rest for one in split_until(self._sender, part, _is_single)]
        self._refused += [*tried, *(Refused(one, result.message) for one in singles)]
        # The destination has answered, so it is neither down nor overloaded.
        return self.outcome(SendResult(ok=True, message=result.message))

    def _take_sample(self, rest: list[Request]) -> Request:
        """Remove one record from the largest of the parts, so that samples are spread."""
        largest = max(range(len(rest)), key=lambda index: rest[index].records)
        first, *more = _halves(self._sender, rest.pop(largest))
        while more:
            rest += more
            first, *more = _halves(self._sender, first)
        return first

    def _send_parts(self, parts: Sequence[Request]) -> Delivery:
        """Send parts, and halve those that are refused, down to single records."""
        rest = list(reversed(parts))
        while rest:
            part = rest.pop()
            result = self.send(part)
            if result.ok:
                continue
            if result.retry:
                return self.stopped([part, *rest], result)
            halves = _halves(self._sender, part)
            if len(halves) == 1:
                self._refused.append(Refused(part, result.message))
            else:
                rest += reversed(halves)
        return self.outcome(SendResult(ok=True))

    def stopped(self, unsent: Sequence[Request], result: SendResult) -> Delivery:
        """Return the outcome if the destination does not answer any more."""
        return self.outcome(result)._replace(unsent=tuple(unsent), maybe_sent=True)

    def outcome(self, result: SendResult) -> Delivery:
        """Return the outcome so far."""
        return Delivery(result, self._sent, self._rejected, tuple(self._refused))


def _checked(result: SendResult, records: int) -> SendResult:
    """Return an answer whose numbers are valid; a destination may answer anything."""
    seconds = float(result.retry_after)
    return result._replace(
        rejected=min(max(int(result.rejected), 0), records),
        retry_after=max(seconds, 0.0) if isfinite(seconds) else 0.0,
    )


def _can_be_sent(request: Request) -> bool:
    return len(request.body) <= _MAX_BODY


def _is_single(request: Request) -> bool:
    return request.records == 1
