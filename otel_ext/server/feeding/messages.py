"""What the process that stores tells the server, as lines of JSON on its standard output."""

from __future__ import annotations

from typing import NamedTuple

import orjson

__all__ = ["FeedState", "decode_state", "encode_state"]


class FeedState(NamedTuple):
    """How the store stands.

    Attributes:
        change: The number of its last change.
        waiting: How many bytes of records wait to be stored, about.
        stored: How many records were stored since the process began.
        skipped: How many damaged lines were passed over.
        problem: Why nothing can be stored now; empty if it can.
    """

    change: int = 0
    waiting: int = 0
    stored: int = 0
    skipped: int = 0
    problem: str = ""


def encode_state(state: FeedState) -> bytes:
    r"""Return the line for a state.

    >>> encode_state(FeedState(change=7))
    b'{"change":7,"waiting":0,"stored":0,"skipped":0,"problem":""}\n'
    """
    return orjson.dumps(state._asdict()) + b"\n"


def decode_state(line: bytes) -> FeedState:
    """Return the state in a line.

    >>> decode_state(encode_state(FeedState(change=7))).change
    7
    """
    return FeedState(**orjson.loads(line))
