"""Compressed bodies are inflated in bounded steps, and wrong ones are recognised."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.server.security.inflate import Gunzip, Identity, MalformedBodyError


def inflated(parts: list[bytes], step: int = 7, members: int = 10) -> list[bytes]:
    """Return the steps in which a body in parts is inflated."""
    decoder = Gunzip(step_bytes=step, most_members=members)
    found = [step for part in parts for step in decoder.feed(part)]
    decoder.finish()
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at places, in any order and perhaps outside."""
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[one:two] for one, two in pairwise(ends)]


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    st.lists(st.integers(0, 1_000)),
    st.integers(1, 100),
)
def test_any_division_inflates_to_the_same(
    members: list[bytes], places: list[int], step: int
) -> None:
    """However the body is divided into members, and its bytes arrive: no step is too large."""
    body = b"".join(gzip.compress(one) for one in members)
    steps = inflated(cut(body, places), step)
    assert b"".join(steps) == b"".join(members)
    assert all(0 < len(one) <= step for one in steps)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_any_bytes_are_inflated_or_refused(data: bytes, places: list[int]) -> None:
    """Bytes that are not gzip raise one kind of error."""
    try:
        steps = inflated(cut(data, places))
    except MalformedBodyError:
        return
    assert b"".join(steps) == gzip.decompress(data)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_damage_is_recognised(data: bytes, draw: st.DataObject) -> None:
    """A body that ends too early, or has a wrong checksum, is not taken."""
    body = gzip.compress(data)
    end = draw.draw(st.integers(0, len(body) - 1))
    with pytest.raises(MalformedBodyError):
        inflated([body[:end]])
    place = draw.draw(st.integers(len(body) - 8, len(body) - 5))  # of the checksum
    damaged = bytearray(body)
    damaged[place] ^= 1
    with pytest.raises(MalformedBodyError):
        inflated([bytes(damaged)])


@pytest.mark.parametrize("rest", [b"\0", b"\0" * 20, b"x", b"\x1f", b"\x1f\x8b"])
def test_nothing_may_follow(rest: bytes) -> None:
    """Bytes after the last member are not ignored."""
    with pytest.raises(MalformedBodyError):
        inflated([gzip.compress(b"a") + rest])


@pytest.mark.parametrize(
    "body",
    [zlib.compress(b"a"), b"a", b"", gzip.compress(b"a")[2:]],
    ids=["deflate", "plain", "nothing", "without the first bytes"],
)
def test_other_codings_are_not_guessed(body: bytes) -> None:
    """`deflate`, plain text and nothing are not gzip."""
    with pytest.raises(MalformedBodyError):
        inflated([body])


def test_members_are_counted() -> None:
    """Each member costs time even if it is empty, so there are not more than agreed."""
    empty = gzip.compress(b"")
    assert inflated([empty * 10], members=10) == []
    with pytest.raises(MalformedBodyError, match="too many gzip members"):
        inflated([empty * 11], members=10)


def test_a_bomb_is_inflated_only_as_far_as_it_is_taken() -> None:
    """Stopping after the first step has inflated one step of 64 MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    bomb = b"".join([*(packer.compress(zeros) for _ in range(64)), packer.flush()])
    assert len(bomb) < 100_000
    decoder = Gunzip(step_bytes=1_000, most_members=1)
    assert next(decoder.feed(bomb)) == bytes(1_000)
    with pytest.raises(MalformedBodyError):
        decoder.finish()


def test_an_uncompressed_body_passes_as_it_is() -> None:
    """Without a content coding the bytes are the body, of any length."""
    plain = Identity()
    assert list(plain.feed(b"abc")) == [b"abc"]
    assert list(plain.feed(b"")) == []
    plain.finish()
