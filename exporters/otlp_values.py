"""Values as OTLP can carry them: one that cannot loses itself, never its batch.

The stock encoder fails a whole batch on a name with a lone surrogate, and a
receiver refuses a whole request that is nested too deep, so both end here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

import orjson

from otel_ext.record.values import encode_value

__all__ = ["OtlpValue", "clean_attributes", "clean_text", "clean_value"]

OtlpValue: TypeAlias = (
    "str | bool | int | float | bytes | Sequence[OtlpValue] | Mapping[str, OtlpValue] | None"
)
"""What an attribute or a body may be."""

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
# Each level of ours is up to three of the encoding's, of which receivers take a hundred.
_MAX_DEPTH: Final = 24
# Of characters: longer texts are cut, so that a request stays below 4 MiB, which
# is what receivers take.
_LONGEST: Final = 1024 * 1024


def clean_attributes(
    attributes: Mapping[str, object], longest: int = _LONGEST
) -> Mapping[str, OtlpValue]:
    r"""Return attributes that can be encoded: the same object where nothing is amiss.

    Args:
        attributes: The user's data.
        longest: Texts beyond so many characters are cut.

    >>> clean_attributes({"a": 1, "b": 2**70, "c": "\ud800"})
    {'a': 1, 'b': '1180591620717411303424', 'c': '\ufffd'}
    """
    for key, value in attributes.items():
        if not key.isascii():
            pass
        elif isinstance(value, str):
            if value.isascii() and len(value) <= longest:
                continue
        elif isinstance(value, int):
            if _INT_MIN <= value <= _INT_MAX:
                continue
        elif isinstance(value, float):
            continue
        return {clean_text(str(k)): clean_value(v, longest) for k, v in attributes.items()}
    return cast("Mapping[str, OtlpValue]", attributes)


def clean_text(text: str, longest: int = _LONGEST) -> str:
    """Return `text` as UTF-8 can carry it, cut where it is longer than `longest`.

    >>> clean_text("a" * 12, 4)
    'aaaa…[+8 characters]'
    """
    if len(text) > longest:
        text = f"{text[:longest]}…[+{len(text) - longest} characters]"
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_value(value: object, longest: int = _LONGEST, depth: int = 1) -> OtlpValue:
    """Return any one value as OTLP can carry it; never raises.

    Args:
        value: The value.
        longest: Texts beyond so many characters are cut.
        depth: How deep it is nested already.
    """
    try:
        return _clean(value, longest, depth)
    except Exception:  # noqa: BLE001 - a user's type may do anything
        return f"<unprintable: {type(value).__name__}>"


def _clean(value: object, longest: int, depth: int) -> OtlpValue:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, str):
        return clean_text(str.__str__(value), longest)
    if isinstance(value, int) and _INT_MIN <= value <= _INT_MAX:
        return int(value)
    if isinstance(value, bytes):
        return value[:longest]
    if isinstance(value, (Mapping, list, tuple)):
        return _clean_container(cast("Mapping[object, object]", value), longest, depth)
    # As in a file: dates, enums, huge integers and whatever else there is.
    return clean_text(_as_in_a_file(value), longest)


def _as_in_a_file(value: object) -> str:
    encoded = encode_value(value)
    plain: object = orjson.loads(encoded)
    return plain if isinstance(plain, str) else encoded.decode()


def _clean_container(
    value: Mapping[object, object] | Sequence[object], longest: int, depth: int
) -> OtlpValue:
    if depth >= _MAX_DEPTH:
        return "<too deep>"
    if isinstance(value, Mapping):
        return {
            clean_text(str(key), longest): clean_value(item, longest, depth + 1)
            for key, item in value.items()
        }
    return [clean_value(item, longest, depth + 1) for item in value]
