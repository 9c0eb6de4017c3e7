"""Encodes values as JSON, including those that JSON or its readers cannot handle.

A hostile or odd value loses only itself, never its record. Most records hold none, so a
check of the values and one call of the encoder suffice. Only if the check fails,
`otel_ext.record.sanitise.cleaning` first turns the values into plain data.

========================================  =======================================
value                                     encoding
========================================  =======================================
NaN, infinities                           ``"NaN"``, ``"Infinity"``, ``"-Infinity"``
bytes                                     base64 text
integers beyond 64 bits                   decimal text
numbers of other libraries                the number; see `cleaning`
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
from otel_ext.record.sanitise.cleaning import MAX_DEPTH, MAX_TEXT, Cleaner, text_of
from otel_ext.record.sanitise.fast_path import is_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MAX_DEPTH",
    "MAX_LINE_BYTES",
    "MAX_TEXT",
    "SHIELDED_META_KEY",
    "encode_object",
    "encode_text",
    "encode_value",
]

MAX_LINE_BYTES: Final = 1_048_576
SHIELDED_META_KEY: Final = f"user.{META_KEY}"

_NOTE_ROOM: Final = 64
_CHUNK: Final = 256
# Characters that control a terminal or hide text: DEL and C1 controls, line and
# paragraph separators, direction marks. JSON allows them; they are written as \uXXXX so
# that a line is safe to print.
_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _make_safe(encoded: bytes) -> bytes:
    """Return `encoded` with its unsafe characters escaped."""
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    text = encoded.decode()
    return _UNSAFE.sub(_escape, text).encode() if _UNSAFE.search(text) else encoded


def _encode(plain: object) -> bytes:
    return _make_safe(orjson.dumps(plain))


def encode_object(
    mapping: Mapping[str, object], budget: int = MAX_LINE_BYTES, *, notes: bool = True
) -> bytes:
    r"""Return `mapping` as a JSON object in UTF-8, whatever it holds; never raises.

    Args:
        mapping: The user's data, such as span attributes.
        budget: The most bytes the result may have.
        notes: Whether a key that counts the keys left out may be added.

    >>> encode_object({"user": "ann", "sizes": (1, 2)})
    b'{"user":"ann","sizes":[1,2]}'
    >>> encode_object({"ratio": float("nan"), "key": b"\x00\xff"})
    b'{"ratio":"NaN","key":"AP8="}'
    """
    try:
        if is_plain(mapping) and META_KEY not in mapping:
            return _make_safe(orjson.dumps(mapping))
    except Exception:  # noqa: BLE001, S110 - any value may raise; cleaned below
        pass
    return _encode_cleaned(mapping, budget, notes=notes)


def encode_value(value: object, cleaner: Cleaner | None = None) -> bytes:
    """Return any one value as JSON in UTF-8; never raises.

    Args:
        value: Anything.
        cleaner: Holds the budget; by default that of a whole record.

    >>> encode_value([1, 10**30])
    b'[1,"1000000000000000000000000000000"]'
    """
    return _encode((cleaner or Cleaner(Budget())).value(value))


def encode_text(value: str) -> bytes:
    r"""Return `value` as a JSON string in UTF-8; never raises.

    >>> encode_text('say "hi"')
    b'"say \\"hi\\""'
    """
    if type(value) is str and len(value) <= MAX_TEXT:
        try:
            return _make_safe(orjson.dumps(value))
        except TypeError:  # a lone surrogate
            pass
    # Programs may name a span by something that is not a text.
    is_text = isinstance(cast("object", value), str)
    return encode_value(value if is_text else text_of(value))


def _encode_cleaned(mapping: Mapping[str, object], budget: int, *, notes: bool) -> bytes:
    work = WORK if budget > MAX_LINE_BYTES // 2 else WORK // 4
    try:
        items = cast("list[tuple[object, object]]", list(islice(mapping.items(), work)))
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

    fields, cut, lost = Cleaner(Budget(work)).fields(items, size, shield)
    encoded = _encode(_with_note(fields, lost) if notes else fields)
    if len(encoded) > budget:
        return _encode_what_fits(fields, cut, lost, budget, notes=notes)
    return encoded


def _with_note(fields: dict[str, object], lost: int | None) -> dict[str, object]:
    """Return `fields` with a note on the `lost` keys left out; None for an unknown number."""
    if lost == 0:
        return fields
    return {**fields, unique("…", fields, {}): left_out(lost, 0, "keys")}


def _encode_what_fits(
    fields: dict[str, object], cut: set[str], lost: int | None, budget: int, *, notes: bool
) -> bytes:
    """Return what fits in `budget`: values that are too large go first, then the last keys."""
    room = budget - 2 - _NOTE_ROOM
    parts: list[bytes] = []
    kept = 0
    names = list(fields)
    for start in range(0, len(names), _CHUNK):
        chunk = {name: fields[name] for name in names[start : start + _CHUNK]}
        part = _encode(chunk)[1:-1]
        found = [part] if len(part) < room else _pieces(chunk, cut, room)
        parts += found
        room -= sum(map(len, found)) + len(found)
        kept += len(chunk) if found == [part] else len(found)
        if kept < start + len(chunk):
            break
    lost = None if lost is None else lost + len(names) - kept
    if notes and lost != 0:
        name = unique("…", set(names[:kept]), {})
        note = _encode({name: left_out(lost, 0, "keys")})[1:-1]
        if len(note) < room + _NOTE_ROOM:
            parts.append(note)
    return b"{" + b",".join(parts) + b"}"


def _pieces(fields: dict[str, object], cut: set[str], room: int) -> list[bytes]:
    """Return the fields one by one, up to the first whose note does not fit either."""
    found: list[bytes] = []
    for name, value in fields.items():
        piece = _encode({name: value})[1:-1]
        if len(piece) >= room:
            name_size = len(_encode(name)) + 1
            note = b'"<left out: %s%d bytes>"'
            over = b"over " if name in cut else b""
            piece = piece[:name_size] + note % (over, len(piece) - name_size)
        if len(piece) >= room:
            break
        room -= len(piece) + 1
        found.append(piece)
    return found
