"""Encodes values as JSON, including those that JSON or its readers cannot handle.

A hostile or odd value loses only itself, never its record. A `Walker` makes the values
plain; then one call of the encoder writes them.

========================================  =======================================
value                                     encoding
========================================  =======================================
NaN, infinities                           ``"NaN"``, ``"Infinity"``, ``"-Infinity"``
bytes                                     base64 text
integers beyond 64 bits                   decimal text
numbers of other libraries                the number; see `kinds`
lone surrogates                           U+FFFD in their place
nesting beyond 64 levels                  ``"<too deep>"``
a container inside itself                 ``"<circular>"``
text beyond 65,536 characters             cut, then ``…[+N characters]``
a list or object beyond 100,000 items     cut, then ``"<left out: N items>"``
what one record has too much of           cut, or ``"<left out: too many values>"``
a value too large for the line            ``"<left out: N bytes>"``
keys the line has no room for             ``"…": "<left out: N keys>"``
keys that come out the same               ``key``, ``key (2)``, ``key (3)``
anything whose text cannot be had         ``"<unprintable: TypeName>"``
the user's key ``__tracer_meta__``        ``user.__tracer_meta__``
========================================  =======================================
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

import orjson

from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.budget import WORK, Budget, left_out, size_of, unique
from otel_ext.record.sanitise.scalars import MAX_TEXT, base64_of, clean_text, is_utf8, text_of
from otel_ext.record.sanitise.walk import MAX_DEPTH, Walker

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "MAX_DEPTH",
    "MAX_LINE_BYTES",
    "MAX_TEXT",
    "SHIELDED_META_KEY",
    "encode_object",
    "encode_plain",
    "encode_text",
    "encode_value",
    "fit",
    "is_printable",
    "plain_fields",
]

MAX_LINE_BYTES: Final = 1_048_576
SHIELDED_META_KEY: Final = f"user.{META_KEY}"

_NOTE_ROOM: Final = 64
# Characters that control a terminal or hide text: DEL and C1 controls, line and
# paragraph separators, direction marks. JSON allows them; they are written as \uXXXX so
# that a line is safe to print.
_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def encode_plain(plain: object) -> bytes:
    r"""Return plain data as JSON in UTF-8, with its unsafe characters escaped.

    Args:
        plain: What a `Walker` has made plain.

    >>> encode_plain({"user": "ann", "sizes": [1, 2], "control": "\x9b"})
    b'{"user":"ann","sizes":[1,2],"control":"\\u009b"}'
    """
    encoded = orjson.dumps(plain, base64_of)
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    text = encoded.decode()
    return _UNSAFE.sub(_escape, text).encode() if _UNSAFE.search(text) else encoded


def is_printable(encoded: bytes) -> bool:
    r"""Whether JSON in UTF-8 has none of the characters that control a terminal or hide text.

    >>> is_printable('{"name":"Ünn"}'.encode()), is_printable('{"name":"\x9b"}'.encode())
    (True, False)
    """
    if encoded.isascii():
        return b"\x7f" not in encoded
    return _UNSAFE.search(encoded.decode()) is None


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def encode_object(mapping: Mapping[str, object], budget: int = MAX_LINE_BYTES) -> bytes:
    r"""Return `mapping` as a JSON object in UTF-8, whatever it holds; never raises.

    Args:
        mapping: The user's data, such as span attributes.
        budget: The most bytes the result may have.

    >>> encode_object({"ratio": float("nan"), "key": b"\x00\xff", "sizes": (1, 2)})
    b'{"ratio":"NaN","key":"AP8=","sizes":[1,2]}'
    """
    work = WORK if budget > MAX_LINE_BYTES // 2 else WORK // 4
    return encode_plain(plain_fields(mapping, Walker(Budget(work)), budget)[0])


def encode_value(value: object, walker: Walker | None = None) -> bytes:
    """Return any one value as JSON in UTF-8; never raises.

    Args:
        value: Anything.
        walker: Holds the budget; by default that of a whole record.

    >>> encode_value([1, 10**30])
    b'[1,"1000000000000000000000000000000"]'
    """
    return encode_plain((walker or Walker(Budget())).value(value))


def encode_text(value: object) -> bytes:
    r"""Return the text of `value` as a JSON string in UTF-8; never raises.

    >>> encode_text('say "hi"')
    b'"say \\"hi\\""'
    """
    # Programs may name a span by something that is not a text.
    text = value if type(value) is str else text_of(value)
    is_plain = len(text) <= MAX_TEXT and is_utf8(text)
    return encode_plain(text if is_plain else clean_text(text))


def plain_fields(
    mapping: Mapping[str, object], walker: Walker, budget: int, *, notes: bool = True
) -> tuple[dict[str, object], int, int]:
    """Return the user's data as plain data that fits into a budget, as `fit` does.

    Args:
        mapping: Attributes, or anything like them.
        walker: Makes the values plain.
        budget: The most bytes as JSON.
        notes: Whether a key that counts the keys left out may be added.

    >>> plain_fields({"sizes": (1, 2), "__tracer_meta__": 1}, Walker(Budget()), 1_000)
    ({'sizes': [1, 2], 'user.__tracer_meta__': 1}, 40, 2)
    """
    try:
        items = cast("list[tuple[object, object]]", list(islice(mapping.items(), WORK)))
        size = size_of(mapping)
    except Exception:  # noqa: BLE001 - a user's mapping may raise anything
        items, size = [("…", f"<unprintable: {type(mapping).__name__}>")], 1

    def shield() -> str:
        """Return an unused name for the user's own `__tracer_meta__`."""
        taken = {key for key, _ in items if type(key) is str}
        name = SHIELDED_META_KEY
        while name in taken:
            name = f"user.{name}"
        return name

    fields, cut, lost = walker.fields(items, size, shield)
    return fit(fields, budget, cut, lost, notes=notes)


def fit(
    fields: dict[str, object],
    budget: int,
    cut: Collection[str] = (),
    lost: int | None = 0,
    *,
    notes: bool = True,
) -> tuple[dict[str, object], int, int]:
    """Return what of `fields` fits into `budget` bytes of JSON, how many it takes, and its values.

    The number of values is an estimate, rather too high.

    Values that are too large are replaced first, then the last keys are left out.

    Args:
        fields: Plain data.
        budget: Bytes.
        cut: The keys whose values are not whole.
        lost: How many keys are left out already; None for an unknown number.
        notes: Whether a key that counts the keys left out may be added.

    >>> fit({"a": 1, "b": "x" * 300, "c": 2}, 200)
    ({'a': 1, 'b': '<left out: 302 bytes>', 'c': 2}, 42, 3)
    """
    if lost == 0 or not notes:
        encoded = encode_plain(fields)
        if len(encoded) <= budget:
            return fields, len(encoded), encoded.count(b",")
    kept: dict[str, object] = {}
    size, values = 2, 0
    limit = budget - _NOTE_ROOM
    for name, value in fields.items():
        encoded = encode_plain({name: value})
        piece = len(encoded) - 1
        if size + piece >= limit:
            over = "over " if name in cut else ""
            name_size = len(encode_plain(name)) + 1
            value = f"<left out: {over}{piece - 1 - name_size} bytes>"  # noqa: PLW2901
            piece = len(encode_plain({name: value})) - 1
        if size + piece >= limit:
            break
        kept[name] = value
        size += piece
        values += 1 + encoded.count(b",")
    lost = None if lost is None else lost + len(fields) - len(kept)
    if notes and lost != 0:
        name = unique("…", kept, {})
        note = left_out(lost, 0, "keys")
        piece = len(encode_plain({name: note})) - 1
        if size + piece < budget:
            kept[name] = note
            size += piece
    return kept, size, values
