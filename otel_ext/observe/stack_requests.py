"""Asks living processes where they are, through their ring buffers; no signal is sent.

A word in the header of the ring buffer is set to a new value; the program's worker sees
that with its next turn, records where each open span is, and repeats the value
beside it. A process that hangs does not answer, and is not disturbed either.
"""

from __future__ import annotations

import os
import secrets
import struct
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext.journal.ring_layout import (
    ANSWER_AT,
    HEADER_SIZE,
    REQUEST_AT,
    WORD,
    unpack_facts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_ext.observe.processes import RunningProcess

__all__ = ["request_stacks"]

_WAIT_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.02


def request_stacks(
    processes: Iterable[RunningProcess], *, timeout: float = _WAIT_SECONDS
) -> list[RunningProcess]:
    """Make living processes record where their spans are, and wait for it.

    Args:
        processes: Whom to ask.
        timeout: Seconds to wait at most, for all together.

    Returns:
        Those that live and did not answer.
    """
    # A word nobody has used: clocks are set back, and numbers are not ours alone to count.
    value = secrets.randbits(63) + 1
    waiting: list[tuple[RunningProcess, list[Path]]] = []
    unanswered: list[RunningProcess] = []
    for process in processes:
        if not process.lives:
            continue
        asked = [ring for ring in process.rings if _write_request(ring, value)]
        if asked and process.condition == "alive":
            waiting.append((process, asked))
        else:
            unanswered.append(process)  # it is seen to hang: no use in waiting
    deadline = monotonic() + timeout
    while waiting:
        waiting = [
            (process, left)
            for process, rings in waiting
            if (left := [ring for ring in rings if not _has_answered(ring, value)])
        ]
        if not waiting or monotonic() >= deadline:
            break
        sleep(_POLL_SECONDS)
    return [*unanswered, *(process for process, _ in waiting)]


def _write_request(ring: Path, value: int) -> bool:
    """Set the request in a ring buffer's header; whether that could be done."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(ring, flags)
    except OSError:
        return False
    try:
        # Only into what is a ring buffer beyond doubt.
        if unpack_facts(os.pread(descriptor, HEADER_SIZE, 0)) is None:
            return False
        return os.pwrite(descriptor, WORD.pack(value), REQUEST_AT) == WORD.size
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _has_answered(ring: Path, value: int) -> bool:
    """Whether the ring buffer's program answered this request, or one that took its place.

    A closed ring buffer counts as an answer.
    """
    try:
        descriptor = os.open(ring, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return True  # the program ended meanwhile
    try:
        (request,) = WORD.unpack(os.pread(descriptor, WORD.size, REQUEST_AT))
        (answer,) = WORD.unpack(os.pread(descriptor, WORD.size, ANSWER_AT))
    except (OSError, struct.error):
        return True
    else:
        return answer in {value, request}
    finally:
        os.close(descriptor)
