"""`Ingested`: what became of a request, and `MalformedError`: why nothing did."""

from __future__ import annotations

from io import BytesIO
from typing import Final, NamedTuple

from otel_ext.errors import OtelExtError, RecordError
from otel_ext.record.sanitise.scalars import clean_text
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.server.ingest.limits import DEFAULT_LIMITS

__all__ = ["Ingested", "MalformedError", "Outcome", "reason_of"]

_MOST_REASONS: Final = 10
_LONGEST_REASON: Final = 200


class MalformedError(OtelExtError, ValueError):
    """The body of a request cannot be read at all; the answer is HTTP status 400."""

    code = "malformed"


class Ingested(NamedTuple):
    r"""What became of a request.

    Attributes:
        lines: The lines of the records, each with its newline: those of the request, and before
            the first one of a process in it, one that introduces this process.
        records: How many records of the request are in the lines.
        rejected: How many are not.
        reasons: Why not, and what is left out of others; empty if nothing is. Plain text of at
            most about two thousand characters.
    """

    lines: bytes
    records: int
    rejected: int
    reasons: str


class Outcome:
    r"""Collects the lines of one request, and what is wrong with it.

    Args:
        most_bytes: How many bytes all lines may have.

    >>> outcome = Outcome()
    >>> outcome.add(b'{"a":1}\n')
    >>> outcome.reject("it has no ids")
    >>> outcome.result()
    Ingested(lines=b'{"a":1}\n', records=1, rejected=1, reasons='it has no ids')
    """

    rejected: int
    """How many of the request's records are rejected."""

    def __init__(self, most_bytes: int = DEFAULT_LIMITS.line_bytes) -> None:
        self.rejected = self._records = 0
        # One buffer, which `result` returns without a copy.
        self._lines = BytesIO()
        self._left = self._most = most_bytes
        self._reasons: dict[str, int] = {}
        self._more = 0

    def add(self, line: bytes) -> None:
        """Add the line of a record."""
        if len(line) > MAX_LINE_BYTES:
            self.reject(f"a record has {len(line)} bytes, more than {MAX_LINE_BYTES}")
            return
        if self.write(line):
            self._records += 1
        else:
            self.rejected += 1

    def write(self, line: bytes) -> bool:
        """Add a line that is not one of the request's records, if there is room for it."""
        if len(line) > self._left:
            self.note(f"the records of a request may have {self._most} bytes as JSON")
            return False
        self._left -= len(line)
        self._lines.write(line)
        return True

    def reject(self, reason: str, count: int = 1) -> None:
        """Count records that are rejected, all for the same reason."""
        self.rejected += count
        self.note(reason)

    def reject_beyond(self, most: int, noun: str, count: int) -> None:
        """Reject the records beyond the limit of a request, if there are any.

        Args:
            most: The limit.
            noun: What they are, in the plural.
            count: How many there are beyond it.
        """
        if count:
            self.reject(f"a request may have {most} {noun}", count)

    def note(self, reason: str) -> None:
        """Note what is left out of a record, or else wrong in the request."""
        if reason in self._reasons:
            self._reasons[reason] += 1
        elif len(self._reasons) < _MOST_REASONS:
            self._reasons[reason] = 1
        else:
            self._more += 1

    def result(self) -> Ingested:
        """Return what became of the request."""
        reasons = [
            clean_text(reason[:_LONGEST_REASON]) + (f" ({count} times)" if count > 1 else "")
            for reason, count in self._reasons.items()
        ]
        if self._more:
            reasons.append(f"and {self._more} more")
        return Ingested(self._lines.getvalue(), self._records, self.rejected, "; ".join(reasons))


def reason_of(error: Exception) -> str:
    """Return why a record is rejected, whatever was raised while it was read."""
    return str(error) if isinstance(error, RecordError) else f"{type(error).__name__}: {error}"
