"""Encodes sanitised values as OTLP's `AnyValue`, within the limits of receivers.

A receiver refuses a request that is nested too deep or has more than 4 MiB. So each record
has a budget of bytes, and what exceeds a limit is cut here.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, cast

from otel_ext.exporters.otlp.encoding.wire import message, tag_of, varint
from otel_ext.record.sanitise.scalars import INT_MIN, clean_text, utf8_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ByteBudget", "cut_text", "encode_attributes"]

# Files have integers up to twice as large.
_INT_MAX: Final = 2**63 - 1
_UNSIGNED: Final = 2**64 - 1
# Each level becomes up to three levels of the encoding; receivers accept a hundred.
_MAX_DEPTH: Final = 24
# All values of a record together, in bytes: a quarter of what receivers accept at a time.
_RECORD_BUDGET: Final = 1024 * 1024
# Names and texts beside the values, in bytes; a record has only a few.
_MAX_TEXT: Final = 64 * 1024
# The minimum of any value; and below how many bytes a text is left out.
_SMALL: Final = 16
_NOTE: Final = 48
_CONTAINERS: Final = (dict, list, tuple)

# The fields of KeyValue, AnyValue, KeyValueList and ArrayValue.
_KEY: Final = tag_of(1, "length")
_VALUE: Final = tag_of(2, "length")
_STRING: Final = tag_of(1, "length")
_BOOL: Final = tag_of(2, "varint")
_INT: Final = tag_of(3, "varint")
_DOUBLE: Final = tag_of(4, "fixed64")
_ARRAY: Final = tag_of(5, "length")
_PAIRS: Final = tag_of(6, "length")
_BYTES: Final = tag_of(7, "length")
_ITEM: Final = tag_of(1, "length")
_pack_double: Final = Struct("<d").pack


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


def encode_attributes(tag: bytes, attributes: Mapping[str, object], budget: ByteBudget) -> bytes:
    r"""Return the fields with sanitised attributes, one for each.

    Args:
        tag: The tag of the attributes of a span, log record, event, link or resource.
        attributes: The user's data.
        budget: Shared with other values of the record.

    >>> from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
    >>> data = encode_attributes(b"\n", {"a": 1, "c": "\ud800"}, ByteBudget())
    >>> made = KeyValueList.FromString(data)
    >>> [(pair.key, pair.value.int_value, pair.value.string_value) for pair in made.values]
    [('a', 1, ''), ('c', 0, '\ufffd')]
    """
    size = _size_if_plain(attributes)
    if size < 0 or not budget.take(size):
        return _encode_mapping(tag, attributes, budget, 1)
    # Most records come here.
    return b"".join(
        [message(tag, _pair(key, _plain_value(value))) for key, value in attributes.items()]
    )


def _pair(key: str, value: bytes) -> bytes:
    return (message(_KEY, key.encode()) if key else b"") + message(_VALUE, value)


def _size_if_plain(attributes: Mapping[str, object]) -> int:
    """Return the bytes of attributes that can be written unchanged; -1 for others."""
    size = _SMALL * len(attributes)
    for key, value in attributes.items():
        if type(key) is not str or not key.isascii():
            return -1
        size += len(key)
        kind = type(value)
        if kind is str:
            text_size = utf8_size(cast("str", value))
            if text_size < 0:  # a lone surrogate, as in the name of a thread
                return -1
            size += text_size
        elif kind is int:
            if not INT_MIN <= cast("int", value) <= _INT_MAX:
                return -1
        elif kind is not bool and kind is not float:
            return -1
    return size


def _plain_value(value: object) -> bytes:
    """Return the message with a text or number that needs no cut."""
    if isinstance(value, str):
        return message(_STRING, value.encode())
    if isinstance(value, bool):
        return _BOOL + varint(value)
    if isinstance(value, int):
        return _INT + varint(value & _UNSIGNED)
    return _DOUBLE + _pack_double(cast("float", value))


def _encode_one(value: object, budget: ByteBudget) -> bytes:
    """Return the message with a value that holds no others."""
    if value is None:
        return b""  # an empty message is OTLP's null
    if isinstance(value, (bool, float)) or (
        isinstance(value, int) and INT_MIN <= value <= _INT_MAX
    ):
        return _plain_value(value)
    if isinstance(value, bytes):
        kept = value[: budget.text_limit]
        budget.left -= len(kept)
        return message(_BYTES, kept)
    return _plain_value(_text_in(budget, str(value)))


def _encode_value(value: object, budget: ByteBudget, depth: int) -> bytes:
    """Return the message with one value."""
    if not isinstance(value, _CONTAINERS):
        return _encode_one(value, budget)
    if depth >= _MAX_DEPTH:
        return _plain_value("<too deep>")
    if isinstance(value, dict):
        mapping = cast("dict[str, object]", value)
        return message(_PAIRS, _encode_mapping(_ITEM, mapping, budget, depth))
    return message(_ARRAY, _encode_items(cast("Sequence[object]", value), budget, depth))


def _encode_mapping(
    tag: bytes, value: Mapping[str, object], budget: ByteBudget, depth: int
) -> bytes:
    # Keys that are cut may come out the same; then the last one counts.
    made: dict[str, bytes] = {}
    for key, item in value.items():
        if not budget.take(_SMALL):
            made["otel_ext.left_out"] = _plain_value(len(value) - len(made))
            break
        name = _text_in(budget, key)
        if depth > 1 or not isinstance(item, _CONTAINERS):
            made[name] = _encode_value(item, budget, depth + 1)
            continue
        # An endless attribute leaves some of the budget for those after it.
        part = ByteBudget(budget.text_limit)
        budget.left -= part.left
        made[name] = _encode_value(cast("object", item), part, depth + 1)
        budget.left += part.left
    return b"".join([message(tag, _pair(name, data)) for name, data in made.items()])


def _encode_items(items: Sequence[object], budget: ByteBudget, depth: int) -> bytes:
    made: list[bytes] = []
    for index, item in enumerate(items):
        if not budget.take(_SMALL):
            made.append(_plain_value(f"<left out: {len(items) - index} items>"))
            break
        made.append(_encode_value(item, budget, depth + 1))
    return b"".join([message(_ITEM, data) for data in made])


def cut_text(text: str, longest: int = _MAX_TEXT) -> str:
    """Return `text` as valid UTF-8, cut if it has more than `longest` bytes.

    >>> cut_text("a" * 120, 52), cut_text("€€", 4)
    ('aaaa…[+116 characters]', '')
    """
    text = text if text.isascii() else clean_text(text)
    data = text.encode()
    if len(data) <= longest:
        return text
    if longest < _NOTE:
        return ""
    # A character that is cut in the middle is dropped.
    head = data[: longest - _NOTE].decode(errors="ignore")
    return f"{head}…[+{len(text) - len(head)} characters]"


def _text_in(budget: ByteBudget, text: str) -> str:
    kept = cut_text(text, budget.text_limit)
    budget.left -= utf8_size(kept)
    return kept
