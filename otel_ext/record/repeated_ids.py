"""Finds span ids that several processes use for different spans.

The SDK draws ids from `random`, so workers that seed it alike draw the same ones. Readers
then take their spans for one, and the end of one hides that another still runs. `tree`,
`doctor` and `validate` check for this.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_ext.record.merge import SpanKey

__all__ = ["REPEATED_IDS_ADVICE", "RepeatedIds"]

REPEATED_IDS_ADVICE: Final = (
    "Do not seed random alike in each worker, or let otel-ext make the tracer provider"
)
"""What to do about ids that repeat."""

_SEVERAL: Final = ""
_MAX_PROCESSES: Final = 100
_DIGEST_BYTES: Final = 8
_ALL: Final = 1 << 8 * _DIGEST_BYTES


class RepeatedIds:
    """Takes the starts of spans, and finds ids that started in several processes.

    Only the process that opened a span writes its start, however often it is repeated. A
    forked child or a recovery may add an end but no start. So starts from different
    processes belong to different spans.

    Args:
        limit: The most spans to keep; 0 for all. Beyond it a sample is kept, chosen by id,
            so that repetitions are found in it too.

    Attributes:
        count: How many ids were found to repeat; all that do unless `is_sample`.
        processes: Ids of processes that use them, about 100 at most.

    >>> ids = RepeatedIds()
    >>> ids.note_start(("a", "b"), "one"), ids.note_start(("a", "b"), "one")
    (False, False)
    >>> ids.note_start(("a", "b"), "two"), ids.count, sorted(ids.processes)
    (True, 1, ['one', 'two'])
    """

    __slots__ = ("_below", "_last", "_limit", "_started_by", "count", "processes")

    def __init__(self, limit: int = 0) -> None:
        self.count = 0
        self.processes: set[str] = set()
        self._limit = limit
        self._below = _ALL
        self._started_by: dict[int, str] = {}
        self._last = ""

    @property
    def is_sample(self) -> bool:
        """Whether there were more spans than `limit`."""
        return self._below < _ALL

    def note_start(self, key: SpanKey, process: str) -> bool:
        """Note the start of a span.

        Args:
            key: Trace id and span id.
            process: Id of the process that opened it.

        Returns:
            Whether another process opened a span with the same ids.
        """
        digest = _digest(key)
        if digest >= self._below:
            return False
        if process == self._last:
            process = self._last  # share one string among all spans of a process
        self._last = process
        known = self._started_by.setdefault(digest, process)
        if known == process:
            if 0 < self._limit < len(self._started_by):
                self._thin_out()
            return False
        if known != _SEVERAL:
            self.count += 1
            self._started_by[digest] = _SEVERAL
        if len(self.processes) < _MAX_PROCESSES:
            self.processes.update({known, process} - {_SEVERAL})
        return True

    def _thin_out(self) -> None:
        """Halve the range of digests that are kept, now and for later spans."""
        self._below >>= 1
        self._started_by = {
            digest: process for digest, process in self._started_by.items() if digest < self._below
        }


def _digest(key: SpanKey) -> int:
    text = "".join(key).encode("utf-8", "replace")
    return int.from_bytes(blake2b(text, digest_size=_DIGEST_BYTES).digest(), "little")
