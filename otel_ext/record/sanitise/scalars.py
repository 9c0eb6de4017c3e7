"""Turns values that hold no others into plain ones: texts, numbers, bytes."""

from __future__ import annotations

import base64
import math
from typing import Final

__all__ = [
    "INT_MAX",
    "INT_MIN",
    "MAX_TEXT",
    "base64_of",
    "clean_text",
    "is_utf8",
    "plain_bytes",
    "plain_scalar",
    "text_of",
    "unprintable",
    "utf8_size",
]

MAX_TEXT: Final = 65_536
"""The most characters of a text; a longer one is cut."""

INT_MIN: Final = -(2**63)
"""The least integer that is not written as text."""

INT_MAX: Final = 2**64 - 1
"""The greatest integer that is not written as text."""

_NOTE_ROOM: Final = 40
# The bytes whose base64 is as long as a text may be.
_BYTES_KEPT: Final = (MAX_TEXT - _NOTE_ROOM) // 4 * 3


def text_of(value: object) -> str:
    """Return the text of any value; never raises.

    >>> text_of(None)
    'None'
    """
    try:
        return str.__str__(value if isinstance(value, str) else str(value))
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything
        return unprintable(value)


def unprintable(value: object) -> str:
    """Return what replaces a value whose text cannot be had."""
    return f"<unprintable: {type(value).__name__}>"


def is_utf8(text: str) -> bool:
    r"""Whether UTF-8 can encode a text: it has no lone surrogate.

    >>> is_utf8("é"), is_utf8("\ud800")
    (True, False)
    """
    return utf8_size(text) >= 0


def utf8_size(text: str) -> int:
    """Return the bytes of a text in UTF-8; -1 if it has a lone surrogate.

    >>> utf8_size("é")
    2
    """
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return -1


def clean_text(text: str, size: int | None = None) -> str:
    """Return `text` in a form that UTF-8 can encode, cut if it is too long.

    Args:
        text: A text of the exact type `str`.
        size: Its length, if `text` is only the beginning of a longer one.
    """
    size = len(text) if size is None else size
    note = ""
    if size > MAX_TEXT:
        # The cut text with its note is within the limit, so cleaning is idempotent.
        kept = MAX_TEXT - _NOTE_ROOM
        text, note = text[:kept], f"…[+{size - kept} characters]"
    if not text.isascii():
        # UTF-8 cannot encode a lone surrogate; each becomes one replacement character.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return f"{text}{note}"


def plain_scalar(value: str | float | None) -> str | float | None:
    """Return a text or number of any subclass, a bool or None as plain data.

    >>> plain_scalar(2**70), plain_scalar(float("nan")), plain_scalar(True)
    ('1180591620717411303424', 'NaN', True)
    """
    if value is None or type(value) is bool:
        return value
    if isinstance(value, str):
        text = value if type(value) is str else str.__str__(value)
        return text if text.isascii() and len(text) <= MAX_TEXT else clean_text(text)
    if isinstance(value, int):
        number = int(value)
        return number if INT_MIN <= number <= INT_MAX else clean_text(_digits(number))
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def plain_bytes(value: bytes | bytearray | memoryview) -> bytes | str:
    """Return a copy of bytes; more than a text may hold is cut, and then base64 text."""
    data = value
    if isinstance(data, memoryview):
        data = data.cast("B") if data.c_contiguous and data.nbytes else data.tobytes()
    size = (len(data) + 2) // 3 * 4
    if size <= MAX_TEXT:
        return bytes(data)
    return clean_text(base64_of(bytes(data[:_BYTES_KEPT])), size)


def base64_of(value: object) -> str:
    """Return bytes as text, as JSON has them.

    Raises:
        TypeError: It is anything but bytes.
    """
    if type(value) is not bytes:
        raise TypeError(type(value).__name__)
    return base64.b64encode(value).decode()


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # beyond sys.get_int_max_str_digits()
        return hex(number)
