"""Counts the levels of brackets in JSON without parsing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_deeper"]

_NOT_BRACKETS: Final = bytes(sorted({*range(256)} - {*b"[]{}"}))
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")
# So many bytes are taken at a time: a part that is only quotes takes 35 times as many.
_PART: Final = 65_536


def is_deeper(text: bytes, levels: int) -> bool:
    r"""Whether JSON has more levels of brackets; of a text that is not JSON, either answer.

    The time and memory that this takes grow with the text, whatever it is.

    Args:
        text: The JSON, in UTF-8.
        levels: How many there may be.

    >>> is_deeper(b'[{"a": "[[["}]', 2), is_deeper(b'[{"a": []}]', 2)
    (False, True)
    """
    if text.count(b"{") + text.count(b"[") <= levels:
        return False
    brackets = b"".join(_brackets(text))
    for _ in range(levels):
        outer = brackets.replace(b"[]", b"")
        if len(outer) == len(brackets):
            return False
        brackets = outer
    return b"[]" in brackets


def _brackets(text: bytes) -> Iterator[bytes]:
    """Yield the brackets outside strings, all of one kind."""
    plain = text.replace(rb"\\", b"").replace(rb"\"", b"")
    in_string = 0
    for at in range(0, len(plain), _PART):
        parts = plain[at : at + _PART].split(b'"')
        yield b"".join(parts[in_string::2]).translate(_ALIKE, _NOT_BRACKETS)
        in_string ^= (len(parts) - 1) & 1
