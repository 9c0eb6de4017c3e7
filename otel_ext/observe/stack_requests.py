"""Asks living processes for the stacks of their open spans, without a signal.

It writes a new value into a word in the ring buffer's header. The program's worker sees
that in its next cycle, records where each open span is, and copies the value to the word
beside it. A process that hangs does not answer and is not disturbed.
"""

from __future__ import annotations

import os
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.ring_layout import HEADER_SIZE, REQUEST_AT, WORD, unpack_facts

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
    """Make living processes record where their spans are, and wait for that.

    Args:
        processes: The processes to ask.
        timeout: Seconds to wait at most, for all together.

    Returns:
        The living processes that did not answer.
    """
    # Random, so that no earlier request used it: clocks are set back, and others send requests too.
    value = (int.from_bytes(os.urandom(8), "big") >> 1) + 1
    waiting: list[tuple[RunningProcess, list[Path]]] = []
    unanswered: list[RunningProcess] = []
    for process in processes:
        if not process.lives:
            continue
        asked = [ring for ring in process.rings if _write_request(ring, value)]
        if asked and process.condition == "alive":
            waiting.append((process, asked))
        else:
            unanswered.append(process)  # it hangs, so waiting is useless
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
    """Write the request into a ring buffer's header; return whether that worked."""
    try:
        descriptor = os.open(ring, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        # Write only if the header is that of a ring buffer.
        if unpack_facts(os.pread(descriptor, HEADER_SIZE, 0)) is None:
            return False
        return os.pwrite(descriptor, WORD.pack(value), REQUEST_AT) == WORD.size
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _has_answered(ring: Path, value: int) -> bool:
    """Whether the program answered this request, or a later one that overwrote it.

    A ring buffer that is gone, because the program ended meanwhile, counts as an answer.
    """
    state = read_ring(ring, lines=False).state
    return state is None or state.answer in {value, state.request}
