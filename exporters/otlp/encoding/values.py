"""Cleans values for OTLP, so that one bad value never costs the batch.

The stock encoder fails a whole batch on a name with a lone surrogate; a receiver
refuses a whole request that is nested too deep or has more than 4 MiB. So each record
has a budget of bytes, and what exceeds it is cut here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

import orjson

from otel_ext.record.sanitise.values import encode_value

__all__ = ["ByteBudget", "OtlpValue", "clean_attributes", "clean_text", "clean_value"]

OtlpValue: TypeAlias = (
    "str | bool | int | float | bytes | Sequence[OtlpValue] | Mapping[str, OtlpValue] | None"
)
"""The types that an attribute or a body may have."""

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
# Each level becomes up to three levels of the encoding; receivers accept a hundred.
_MAX_DEPTH: Final = 24
# All values of a record together, in bytes: a quarter of what receivers accept at a time.
_RECORD_BUDGET: Final = 1024 * 1024
# Names and texts beside the values, in bytes; a record has only a few.
_MAX_TEXT: Final = 64 * 1024
# The minimum of any value; and below how many bytes a text is left out.
_SMALL: Final = 16
_NOTE: Final = 48
_SURROGATE_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class ByteBudget:
    """The bytes that the values of one record may still use.

    A single text gets at most half of what is left, so that a huge one leaves some for
    the values after it.

    Args:
        size: Bytes.
    """

    __slots__ = ("left",)

    def __init__(self, size: int = _RECORD_BUDGET) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        """Use `size` bytes; False, and nothing is used, if they exceed the budget."""
        if size > self.left:
            return False
        self.left -= size
        return True

    @property
    def text_limit(self) -> int:
        """The maximum of bytes of the next text."""
        return self.left // 2


def clean_attributes(
    attributes: Mapping[str, object], budget: ByteBudget | None = None
) -> Mapping[str, OtlpValue]:
    r"""Return attributes that can be encoded: the same object if nothing is wrong.

    Args:
        attributes: The user's data.
        budget: Shared with other values of the record; None for the whole of a record.

    >>> clean_attributes({"a": 1, "b": 2**70, "c": "\ud800"})
    {'a': 1, 'b': '1180591620717411303424', 'c': '\ufffd'}
    >>> clean_attributes({"huge": "x" * 900, "small": "y"}, ByteBudget(120))
    {'huge': 'xx…[+898 characters]', 'small': 'y'}
    """
    size = _size_if_plain(attributes)
    budget = budget or ByteBudget()
    if size >= 0 and budget.take(size):
        return cast("Mapping[str, OtlpValue]", attributes)
    return _clean_mapping(attributes, budget, 1)


def _size_if_plain(attributes: Mapping[str, object]) -> int:
    """Return the bytes of attributes that can be encoded unchanged; -1 for others."""
    size = _SMALL * len(attributes)
    for key, value in attributes.items():
        if not key.isascii():
            return -1
        size += len(key)
        if isinstance(value, str):
            if not value.isascii():
                return -1
            size += len(value)
        elif isinstance(value, int):
            if not _INT_MIN <= value <= _INT_MAX:
                return -1
        elif not isinstance(value, float):
            return -1
    return size


def clean_text(text: str, longest: int = _MAX_TEXT) -> str:
    """Return `text` as valid UTF-8, cut if it has more than `longest` bytes.

    >>> clean_text("a" * 120, 52), clean_text("€€", 4)
    ('aaaa…[+116 characters]', '')
    """
    if text.isascii():
        if len(text) <= longest:
            return text
        data = text[:longest].encode()
    else:
        data = _encoded(text[: longest + 1])
        if len(text) <= longest and len(data) <= longest:
            return data.decode()
    if longest < _NOTE:
        return ""
    # A character that is cut in the middle is dropped.
    head = data[: longest - _NOTE].decode(errors="ignore")
    return f"{head}…[+{len(text) - len(head)} characters]"


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Two surrogates in a row become one character, as in UTF-16.
        whole = _SURROGATE_PAIR.sub(lambda pair: _joined(pair[0]), text)
        return _SURROGATE.sub("\ufffd", whole).encode()


def _joined(pair: str) -> str:
    return pair.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def clean_value(value: object, budget: ByteBudget | None = None, depth: int = 1) -> OtlpValue:
    """Return any value in a form that OTLP can encode; never raises.

    Args:
        value: The value.
        budget: Shared with other values of the record; None for the whole of a record.
        depth: The depth at which the value is nested.
    """
    try:
        return _clean(value, budget or ByteBudget(), depth)
    except Exception:  # noqa: BLE001 - a user's type may do anything
        return f"<unprintable: {type(value).__name__}>"


def _clean(value: object, budget: ByteBudget, depth: int) -> OtlpValue:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and _INT_MIN <= value <= _INT_MAX:
        return int(value)
    if isinstance(value, bytes):
        kept = value[: budget.text_limit]
        budget.left -= len(kept)
        return kept
    if isinstance(value, (Mapping, list, tuple)):
        return _clean_container(cast("Mapping[object, object]", value), budget, depth)
    # Dates, enums, huge integers and others, in the form that the files have.
    text = str.__str__(value) if isinstance(value, str) else _as_in_a_file(value)
    return _text_in(budget, text)


def _clean_container(
    value: Mapping[object, object] | Sequence[object], budget: ByteBudget, depth: int
) -> OtlpValue:
    if depth >= _MAX_DEPTH:
        return "<too deep>"
    if isinstance(value, Mapping):
        return _clean_mapping(value, budget, depth)
    return _clean_items(value, budget, depth)


def _text_in(budget: ByteBudget, text: str) -> str:
    cleaned = clean_text(text, budget.text_limit)
    budget.left -= len(cleaned) if cleaned.isascii() else len(cleaned.encode())
    return cleaned


def _as_in_a_file(value: object) -> str:
    encoded = encode_value(value)
    plain: object = orjson.loads(encoded)
    return plain if isinstance(plain, str) else encoded.decode()


def _clean_mapping(
    value: Mapping[str, object] | Mapping[object, object], budget: ByteBudget, depth: int
) -> dict[str, OtlpValue]:
    made: dict[str, OtlpValue] = {}
    for key, item in value.items():
        if not budget.take(_SMALL):
            made["otel_ext.left_out"] = len(value) - len(made)
            break
        name = _text_in(budget, str(key))
        if depth > 1 or not isinstance(item, (Mapping, list, tuple)):
            made[name] = clean_value(item, budget, depth + 1)
            continue
        # An endless attribute leaves some of the budget for those after it.
        part = ByteBudget(budget.text_limit)
        budget.left -= part.left
        made[name] = clean_value(cast("object", item), part, depth + 1)
        budget.left += part.left
    return made


def _clean_items(value: Sequence[object], budget: ByteBudget, depth: int) -> list[OtlpValue]:
    made: list[OtlpValue] = []
    for item in value:
        if not budget.take(_SMALL):
            made.append(f"<left out: {len(value) - len(made)} items>")
            break
        made.append(clean_value(item, budget, depth + 1))
    return made
