"""Parses the text of one line strictly, and explains what is wrong with it.

Parsers are lenient: of a duplicate key they silently keep one, and some accept NaN or
half a surrogate pair. The format allows none of this.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final, NoReturn, cast

import orjson

from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.values import MAX_DEPTH
from otel_ext.record.schema.depth import is_deeper
from otel_ext.record.schema.rules import META_RULES

if TYPE_CHECKING:
    from otel_ext.record.schema.metadata import Reasons

__all__ = ["MAX_LINE_DEPTH", "WHOLE_LINE", "parse_line"]

MAX_LINE_DEPTH: Final = MAX_DEPTH + 8
"""The most levels that a line may nest: those of a value, and those around it."""

WHOLE_LINE: Final = "line"
"""Replaces the JSON pointer if a reason is about the line as a whole."""

_TOO_DEEP: Final = "nested too deep"
_BOM: Final = b"\xef\xbb\xbf"


def parse_line(line: bytes, reasons: Reasons) -> dict[str, object] | None:
    """Return the JSON object in `line`; None, and a reason, if it is not one.

    Args:
        line: One line in UTF-8, with or without its newline.
        reasons: Receives what is wrong with the text.
    """
    body = _strip_ending(line, reasons)
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reasons.add(WHOLE_LINE, _explain_text(body, error))
        return None
    if not isinstance(document, dict):
        reasons.add(WHOLE_LINE, "a record is a JSON object; this is a value of another type")
        return None
    fields = cast("dict[str, object]", document)
    if is_deeper(body, MAX_LINE_DEPTH):
        reasons.add(WHOLE_LINE, f"nests deeper than {MAX_LINE_DEPTH} levels")
    _check_duplicates(fields, body, reasons)
    return fields


def _strip_ending(line: bytes, reasons: Reasons) -> bytes:
    body = line[:-1] if line.endswith(b"\n") else line
    if body.endswith(b"\r"):
        reasons.add(WHOLE_LINE, "ends in CR LF; lines end in LF alone")
        body = body[:-1]
    if body.startswith(_BOM):
        reasons.add(WHOLE_LINE, "begins with a byte order mark; the format allows none")
        body = body[len(_BOM) :]
    return body


class _WithDuplicates(dict[str, object]):
    """An object with duplicate keys."""

    duplicate_keys: tuple[str, ...] = ()


def _check_duplicates(document: dict[str, object], body: bytes, reasons: Reasons) -> None:
    """Find duplicates of the format's keys, of which parsers silently keep one."""
    try:
        # If the parsed line, encoded again, equals the line, parsing lost nothing.
        if orjson.dumps(document) == body:
            return
        again = json.loads(body, object_pairs_hook=_pairs)
    except (orjson.JSONEncodeError, RecursionError, ValueError):
        return  # too deep, or a number too long: other rules report it
    if isinstance(again, _WithDuplicates) and META_KEY in again.duplicate_keys:
        reasons.add(f"/{META_KEY}", "occurs twice")
    _find_duplicates(cast("dict[str, object]", again).get(META_KEY), f"/{META_KEY}", reasons)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    found = _WithDuplicates(plain)
    times = Counter(name for name, _ in pairs)
    found.duplicate_keys = tuple(name for name in plain if times[name] > 1)
    return found


def _find_duplicates(meta: object, pointer: str, reasons: Reasons) -> None:
    if isinstance(meta, _WithDuplicates):
        for name in meta.duplicate_keys:
            reasons.add(f"{pointer}/{name}", "occurs twice")
    if not isinstance(meta, dict):
        return
    for key, value in cast("dict[str, object]", meta).items():
        rule = META_RULES.get(key)
        if rule is None or rule.fields is None:
            continue
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, _WithDuplicates):
                reasons.add(f"{pointer}/{key}", f"{item.duplicate_keys[0]} occurs twice")


def _explain_text(body: bytes, error: orjson.JSONDecodeError) -> str:
    """Return why a line is not JSON, as specifically as possible."""
    if not body.strip():
        return "an empty line"
    if b"\0" in body:
        return f"{body.count(0)} NUL bytes, the first at byte {body.index(0)}"
    try:
        text = body.decode()
    except UnicodeDecodeError as failure:
        return f"not UTF-8: byte 0x{body[failure.start]:02x} at byte {failure.start}"
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as failure:
        what = failure.msg.removesuffix(" at").removesuffix(" starting")
        return f"not JSON: {what} at column {failure.colno}"
    except (ValueError, RecursionError) as failure:
        return _TOO_DEEP if isinstance(failure, RecursionError) else f"not JSON: {failure}"
    # The depth limit of `json` differs between Pythons; all else it accepts, orjson does too.
    return _TOO_DEEP if error.msg.startswith("depth limit") else f"not JSON: {error.msg}"


def _refuse_constant(name: str) -> NoReturn:
    message = f'{name} must be written as the text "{name}"'
    raise ValueError(message)
