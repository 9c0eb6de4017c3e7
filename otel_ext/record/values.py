"""What becomes of values that JSON, or a reader of it, cannot take.

A hostile or odd value must lose only itself, never its record. Most records
hold none, so the quick way comes first: one call of the encoder, then a look at
its result. Only where that look finds something is the value walked.

========================================  =======================================
value                                     encoding
========================================  =======================================
NaN, infinities                           ``"NaN"``, ``"Infinity"``, ``"-Infinity"``
bytes                                     base64 text
integers beyond 64 bits                   decimal text
lone surrogates                           U+FFFD in their place
nesting beyond 64 levels                  ``"<too deep>"``
text beyond 65,536 characters             cut, then ``…[+N characters]``
a list or object beyond 100,000 items     cut, then ``"<left out: N items>"``
a value too large for the line            ``"<left out: N bytes>"``
anything whose text cannot be had         ``"<unprintable: TypeName>"``
the user's key ``__tracer_meta__``        ``user.__tracer_meta__``
========================================  =======================================
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias, cast

import orjson

from otel_ext.record.model import META_KEY

__all__ = [
    "MAX_DEPTH",
    "MAX_LINE_BYTES",
    "MAX_TEXT",
    "SHIELDED_META_KEY",
    "encode_object",
    "encode_text",
    "encode_value",
]

MAX_DEPTH: Final = 64
MAX_TEXT: Final = 65_536
MAX_LINE_BYTES: Final = 1_048_576
SHIELDED_META_KEY: Final = f"user.{META_KEY}"

_Container: TypeAlias = "Mapping[object, object] | Sequence[object] | AbstractSet[object]"

_MAX_ITEMS: Final = 100_000
_NOTE_ROOM: Final = 40
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1
# Characters that a terminal obeys or that hide text from a reader's eye: DEL and
# C1 controls, line and paragraph separators, direction marks. JSON would let
# them stand; they are written as \uXXXX so that a line is safe to print.
_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _make_safe(encoded: bytes) -> bytes:
    """Return `encoded` with the unsafe characters in it written as escapes."""
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    text = encoded.decode()
    return _UNSAFE.sub(_escape, text).encode() if _UNSAFE.search(text) else encoded


def encode_object(mapping: Mapping[str, object], budget: int = MAX_LINE_BYTES) -> bytes:
    r"""Return `mapping` as a JSON object in UTF-8, whatever it holds; never raises.

    Args:
        mapping: The user's data, such as span attributes.
        budget: The most bytes the result may have.

    >>> encode_object({"user": "ann", "sizes": (1, 2)})
    b'{"user":"ann","sizes":[1,2]}'
    >>> encode_object({"ratio": float("nan"), "key": b"\x00\xff"})
    b'{"ratio":"NaN","key":"AP8="}'
    """
    try:
        encoded = orjson.dumps(mapping)
    except Exception:  # noqa: BLE001 - any value may fail in any way
        return _encode_carefully(mapping, budget)
    # orjson writes NaN as null; long lines may hold long texts, many brackets deep nests.
    if (
        b"null" in encoded
        or len(encoded) > MAX_TEXT
        or META_KEY in mapping
        or encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH
    ):
        return _encode_carefully(mapping, budget)
    return _make_safe(encoded)


def encode_value(value: object) -> bytes:
    """Return any one value as JSON in UTF-8; never raises.

    >>> encode_value([1, 10**30])
    b'[1,"1000000000000000000000000000000"]'
    """
    return _make_safe(orjson.dumps(_clean(value, 1)))


def encode_text(value: str) -> bytes:
    r"""Return `value` as a JSON string in UTF-8; never raises.

    >>> encode_text('say "hi"')
    b'"say \\"hi\\""'
    """
    try:
        encoded = orjson.dumps(value)
    except TypeError:
        return encode_value(value)
    return encode_value(value) if len(encoded) > MAX_TEXT else _make_safe(encoded)


def _encode_carefully(mapping: Mapping[str, object], budget: int) -> bytes:
    parts: list[bytes] = []
    try:
        items = list(mapping.items())
    except Exception:  # noqa: BLE001 - a mapping of the user's own may do anything
        items = [("value", f"<unprintable: {type(mapping).__name__}>")]
    room = budget - 2
    for key, value in items:
        name = encode_text(_shield(mapping) if key == META_KEY else _key(key))
        encoded = encode_value(value)
        if len(name) + len(encoded) + 2 > room:
            encoded = b'"<left out: %d bytes>"' % len(encoded)
        if len(name) + len(encoded) + 2 > room:
            break
        room -= len(name) + len(encoded) + 2
        parts.append(name + b":" + encoded)
    return b"{" + b",".join(parts) + b"}"


def _shield(mapping: Mapping[str, object]) -> str:
    """Return the name that the user's `__tracer_meta__` gets: one that is not taken."""
    name = SHIELDED_META_KEY
    while name in mapping:
        name = f"user.{name}"
    return name


def _key(key: object) -> str:
    return key if type(key) is str else _text_of(key)


def _text_of(value: object) -> str:
    try:
        return str.__str__(str(value))
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything
        return _unprintable(value)


def _unprintable(value: object) -> str:
    return f"<unprintable: {type(value).__name__}>"


def _clean_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        # The cut text with its note is within the limit, so cleaning twice is once.
        kept = MAX_TEXT - _NOTE_ROOM
        text = f"{text[:kept]}…[+{len(text) - kept} characters]"
    if text.isascii():
        return text
    # A lone surrogate has no UTF-8; each becomes one replacement character.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _clean_number(value: float) -> object:
    if isinstance(value, int):
        number = int(value)
        return number if _INT_MIN <= number <= _INT_MAX else _clean_text(_digits(number))
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # beyond sys.get_int_max_str_digits()
        return hex(number)


def _clean(value: object, depth: int) -> object:
    """Return `value` as something every JSON encoder and reader takes."""
    try:
        return _clean_unguarded(value, depth)
    except Exception:  # noqa: BLE001 - includes RecursionError and what users' types raise
        return _unprintable(value)


def _clean_unguarded(value: object, depth: int) -> object:
    if value is None or isinstance(value, (bool, str, int, float)):
        return _clean_scalar(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _clean_text(base64.b64encode(cast("bytes", value)).decode())
    if isinstance(value, (Mapping, Sequence, AbstractSet)):
        return _clean_container(cast("_Container", value), depth)
    try:
        # Dates, enums, UUIDs, dataclasses: the encoder's own way, cleaned again.
        return _clean(orjson.loads(orjson.dumps(value)), depth + 1)
    except (TypeError, ValueError):
        return _clean_text(_text_of(value))


def _clean_scalar(value: bool | str | float | None) -> object:  # noqa: FBT001 - any value
    if isinstance(value, str):
        return _clean_text(str.__str__(value))
    return value if value is None or isinstance(value, bool) else _clean_number(value)


def _clean_container(value: _Container, depth: int) -> object:
    if depth >= MAX_DEPTH:
        return "<too deep>"
    items: list[object] = list(value.items()) if isinstance(value, Mapping) else list(value)
    left_out = len(items) - _MAX_ITEMS
    if left_out > 0:
        del items[_MAX_ITEMS - 1 :]
        note = f"<left out: {left_out + 1} items>"
        items.append(("…", note) if isinstance(value, Mapping) else note)
    if isinstance(value, Mapping):
        pairs = cast("list[tuple[object, object]]", items)
        return {_clean_text(_key(key)): _clean(item, depth + 1) for key, item in pairs}
    return [_clean(item, depth + 1) for item in items]
