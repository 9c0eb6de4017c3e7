"""The compiled cursor stores lines as a mapping object does."""

from __future__ import annotations

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext._accel import load_speed

speed = load_speed()
pytestmark = pytest.mark.skipif(speed is None, reason="the compiled part was not built")

SIZE = mmap.PAGESIZE


def outcome(cursor: object, step: bytes | int) -> object:
    """Store a line or move; return the result, or the type of the error."""
    try:
        if isinstance(step, bytes):
            return cursor.write(step)  # type: ignore[attr-defined]
        cursor.seek(step)  # type: ignore[attr-defined]
    except ValueError:
        return ValueError
    return None


@given(
    st.lists(
        st.one_of(
            st.integers(-2, SIZE + 2),
            st.binary(max_size=300),
            st.integers(SIZE - 20, SIZE + 20).map(bytes),
        ),
        max_size=20,
    )
)
def test_it_does_what_a_mapping_does(steps: list[bytes | int]) -> None:
    """After any writes and moves: the same results, positions and memory."""
    assert speed is not None
    one, other = mmap.mmap(-1, SIZE), mmap.mmap(-1, SIZE)
    cursor = speed.cursor(other)
    for step in steps:
        expected = outcome(one, step)
        if isinstance(step, int):
            expected = expected and ValueError
        assert outcome(cursor, step) == expected
        assert cursor.tell() == one.tell()
    assert one[:] == other[:]


def test_mistakes() -> None:
    """Arguments of a wrong type are refused; the position does not change."""
    assert speed is not None
    with pytest.raises(TypeError):
        speed.cursor("text")
    with pytest.raises(BufferError):
        speed.cursor(b"cannot be written to")
    cursor = speed.cursor(mmap.mmap(-1, SIZE))
    with pytest.raises(TypeError):
        cursor.write("text")
    with pytest.raises(TypeError):
        cursor.seek("0")
    with pytest.raises(TypeError):
        type(cursor)()
    assert cursor.tell() == 0


def test_the_memory_stays_while_a_cursor_needs_it() -> None:
    """The cursor keeps a mapping alive that has no other reference."""
    assert speed is not None
    cursor = speed.cursor(mmap.mmap(-1, SIZE))
    assert [cursor.write(b"x" * 100) for _ in range(SIZE // 100)] == [100] * (SIZE // 100)
    with pytest.raises(ValueError, match="does not fit"):
        cursor.write(b"x" * 100)
