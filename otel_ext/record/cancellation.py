"""Detects which spans end because their asyncio task was cancelled.

A cancelled span ends while `CancelledError` passes through the code that opened it, so
that error is the current exception. A span opened while that error is already being
handled (to undo something, to close a connection) ends under the same error without
being cancelled, so such starts are noted. Both are rare; otherwise this costs one check
of the current exception, and nothing outside of tasks.
"""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from otel_ext.record.model import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CANCELLED", "cancellation_metadata", "note_start"]

CANCELLED: Final[Mapping[str, object]] = MappingProxyType({"cancelled": True})
"""The metadata that marks the end record of a cancelled span."""

_MAX_NOTED: Final = 1_024
# Spans that started while a cancellation was handled: their ids, and id() of the error.
_started_during: Final[dict[tuple[str, str], int]] = {}


def _cancellation() -> BaseException | None:
    """Return the `CancelledError` being handled, or None; never imports asyncio."""
    error = sys.exc_info()[1]
    if error is None:
        return None
    asyncio = sys.modules.get("asyncio")
    return error if asyncio is not None and isinstance(error, asyncio.CancelledError) else None


def note_start(trace_id: str, span_id: str) -> None:
    """Note a span that starts in a task, if a cancellation is being handled."""
    error = _cancellation()
    if error is not None:
        if len(_started_during) >= _MAX_NOTED:
            _started_during.clear()
        _started_during[trace_id, span_id] = id(error)


def cancellation_metadata(trace_id: str, span_id: str) -> Mapping[str, object]:
    """Return `CANCELLED` or no metadata for the end of a span that was opened in a task.

    >>> import asyncio
    >>> try:
    ...     raise asyncio.CancelledError
    ... except asyncio.CancelledError:
    ...     dict(cancellation_metadata("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
    {'cancelled': True}
    """
    before = _started_during.pop((trace_id, span_id), None) if _started_during else None
    error = _cancellation()
    return EMPTY if error is None or id(error) == before else CANCELLED
