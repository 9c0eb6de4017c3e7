"""Trace and span ids from the operating system's entropy, for the providers that otel-ext makes."""

from __future__ import annotations

import os
import random

from opentelemetry.sdk.trace.id_generator import IdGenerator

__all__ = ["EntropyIdGenerator"]


class EntropyIdGenerator(IdGenerator):
    """Generates ids with `os.urandom`, so that seeding `random` does not make them repeat.

    The SDK's own generator uses `random`. Several processes that all call
    `random.seed(42)`, as training programs do, would have the same trace ids.
    Each id comes from the kernel when it is needed: there is no state that a forked
    child would share with its parent, however it was forked.

    >>> generator = EntropyIdGenerator()
    >>> 0 < generator.generate_span_id() < 2**64
    True
    >>> 0 < generator.generate_trace_id() < 2**128
    True
    """

    def generate_span_id(self) -> int:
        """Return a random id of 64 bits that is not 0."""
        return _draw(8)

    def generate_trace_id(self) -> int:
        """Return a random id of 128 bits that is not 0."""
        return _draw(16)

    def is_trace_id_random(self) -> bool:
        """Return True: every bit of a trace id is random."""
        return True


def _draw(size: int) -> int:
    """Return a random positive number of `size` bytes."""
    number = 0
    while not number:  # 0 is the invalid id
        try:
            number = int.from_bytes(os.urandom(size), "big")
        except (OSError, NotImplementedError):  # a sandbox without a random device
            number = random.getrandbits(8 * size)
    return number
