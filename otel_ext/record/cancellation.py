"""Which spans end because their asyncio task was cancelled.

A span ends while `CancelledError` goes through the code that opened it: that error is
the one that is handled at that moment. A span that is opened while it is handled already
(to undo something, to close a connection) ends under the same error without having been
cancelled, so spans that start there are noted. Both are rare; elsewhere this costs one
look at the current exception, and outside of tasks nothing.
"""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from otel_ext.record.model import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CANCELLED", "how_it_ended", "note_start"]

CANCELLED: Final[Mapping[str, object]] = MappingProxyType({"cancelled": True})
"""What the end record of a cancelled span has among its metadata."""

_MOST: Final = 1_024
# Spans that started while a cancellation was handled, by their ids, and which one.
_begun: Final[dict[tuple[str, str], int]] = {}


def _cancellation() -> BaseException | None:
    """Return the `CancelledError` that is handled here, or None; never imports asyncio."""
    error = sys.exc_info()[1]
    if error is None:
        return None
    asyncio = sys.modules.get("asyncio")
    return error if asyncio is not None and isinstance(error, asyncio.CancelledError) else None


def note_start(trace_id: str, span_id: str) -> None:
    """Take note of a span that starts in a task, in case it starts amid a cancellation."""
    error = _cancellation()
    if error is not None:
        if len(_begun) >= _MOST:
            _begun.clear()
        _begun[trace_id, span_id] = id(error)


def how_it_ended(trace_id: str, span_id: str) -> Mapping[str, object]:
    """Return the further metadata of the end of a span that was opened in a task.

    >>> import asyncio
    >>> try:
    ...     raise asyncio.CancelledError
    ... except asyncio.CancelledError:
    ...     dict(how_it_ended("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
    {'cancelled': True}
    """
    before = _begun.pop((trace_id, span_id), None) if _begun else None
    error = _cancellation()
    return EMPTY if error is None or id(error) == before else CANCELLED
