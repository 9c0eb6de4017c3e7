"""Writes sanitised values as OTLP's `AnyValue`, within the limits of receivers.

A receiver refuses a request that is nested too deep or has more than 4 MiB. So each record
has a budget of bytes, and what exceeds a limit is cut here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from otel_ext.record.sanitise.scalars import INT_MIN, clean_text, utf8_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

__all__ = ["ByteBudget", "cut_text", "write_attributes"]

# Files have integers up to twice as large.
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
_CONTAINERS: Final = (dict, list, tuple)


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


def write_attributes(
    pairs: RepeatedCompositeFieldContainer[KeyValue],
    attributes: Mapping[str, object],
    budget: ByteBudget,
) -> None:
    r"""Append sanitised attributes to the attributes of a message.

    Args:
        pairs: The attributes of a span, log record, event, link or resource; empty.
        attributes: The user's data.
        budget: Shared with other values of the record.

    >>> from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
    >>> made = KeyValueList()
    >>> write_attributes(made.values, {"a": 1, "c": "\ud800"}, ByteBudget())
    >>> [(pair.key, pair.value.int_value, pair.value.string_value) for pair in made.values]
    [('a', 1, ''), ('c', 0, '\ufffd')]
    """
    size = _size_if_plain(attributes)
    if size < 0 or not budget.take(size):
        _write_mapping(pairs, attributes, budget, 1)
        return
    # Most records come here, so this has no further calls.
    add = pairs.add
    for key, value in attributes.items():
        pair = add()
        pair.key = key
        if isinstance(value, str):
            pair.value.string_value = value
        elif isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        elif isinstance(value, float):
            pair.value.double_value = value


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


def _write_value(target: AnyValue, value: object, budget: ByteBudget, depth: int) -> None:
    """Write one value to an empty message."""
    if value is None:
        target.SetInParent()  # an empty message is OTLP's null
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, int) and INT_MIN <= value <= _INT_MAX:
        target.int_value = value
    elif isinstance(value, bytes):
        target.bytes_value = kept = value[: budget.text_limit]
        budget.left -= len(kept)
    elif not isinstance(value, _CONTAINERS):
        target.string_value = _text_in(budget, str(value))
    elif depth >= _MAX_DEPTH:
        target.string_value = "<too deep>"
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        mapping = cast("dict[str, object]", value)
        _write_mapping(target.kvlist_value.values, mapping, budget, depth)
    else:
        target.array_value.SetInParent()
        items = cast("Sequence[object]", value)
        _write_items(target.array_value.values, items, budget, depth)


def _write_mapping(
    pairs: RepeatedCompositeFieldContainer[KeyValue],
    value: Mapping[str, object],
    budget: ByteBudget,
    depth: int,
) -> None:
    # Keys that are cut may come out the same; then the last one counts.
    made: dict[str, KeyValue] = {}
    for key, item in value.items():
        if not budget.take(_SMALL):
            pairs.add(key="otel_ext.left_out").value.int_value = len(value) - len(made)
            break
        name = _text_in(budget, key)
        pair = made.get(name)
        if pair is None:
            pair = made[name] = pairs.add(key=name)
        else:
            pair.value.Clear()
        if depth > 1 or not isinstance(item, _CONTAINERS):
            _write_value(pair.value, item, budget, depth + 1)
            continue
        # An endless attribute leaves some of the budget for those after it.
        part = ByteBudget(budget.text_limit)
        budget.left -= part.left
        _write_value(pair.value, cast("object", item), part, depth + 1)
        budget.left += part.left


def _write_items(
    values: RepeatedCompositeFieldContainer[AnyValue],
    items: Sequence[object],
    budget: ByteBudget,
    depth: int,
) -> None:
    for index, item in enumerate(items):
        if not budget.take(_SMALL):
            values.add(string_value=f"<left out: {len(items) - index} items>")
            break
        _write_value(values.add(), item, budget, depth + 1)


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
