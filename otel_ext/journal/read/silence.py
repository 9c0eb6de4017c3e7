"""Computes after how long a silence a process counts as dead or hung.

The writer records its heartbeat interval in `process.start`, so readers need no setting.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LONGEST_SILENCE", "STAMP_SECONDS", "silence_limit"]

STAMP_SECONDS: Final = 1.0
"""Seconds after which a worker stamps its ring buffer again."""

LONGEST_SILENCE: Final = 600.0
"""Seconds of silence after which a process without heartbeats counts as dead."""

_MISSED: Final = 3
_SLACK_SECONDS: Final = 1.0
_STAMPED_SECONDS: Final = 15.0


def silence_limit(heartbeat_ms: int, *, has_ring: bool) -> float:
    """Return the seconds of silence after which a process counts as dead or hung.

    Args:
        heartbeat_ms: Milliseconds between its heartbeats; 0 if it sends none.
        has_ring: Whether it has a ring buffer, which its worker stamps every second.

    >>> silence_limit(5_000, has_ring=False), silence_limit(60_000, has_ring=False)
    (16.0, 181.0)
    >>> silence_limit(0, has_ring=True), silence_limit(0, has_ring=False)
    (15.0, 600.0)
    """
    if heartbeat_ms:
        return _MISSED * heartbeat_ms / 1_000 + _SLACK_SECONDS
    return _STAMPED_SECONDS if has_ring else LONGEST_SILENCE
