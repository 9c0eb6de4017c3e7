"""Reads values and attributes from OTLP's protobuf messages, as plain data."""

from __future__ import annotations

from base64 import b64encode
from math import isfinite
from typing import TYPE_CHECKING, Final, cast

from otel_ext.errors import RecordError
from otel_ext.formats.read.otlp_values import DEEPEST
from otel_ext.record.sanitise.budget import TOO_DEEP
from otel_ext.record.sanitise.scalars import plain_scalar

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

__all__ = ["ValueBudget", "attributes_of", "value_of", "without_bytes"]

_LISTS: Final = frozenset({"array_value", "kvlist_value"})


class ValueBudget:
    """How many values of a request may still be read.

    Args:
        left: The number.
    """

    __slots__ = ("left", "most")

    def __init__(self, left: int) -> None:
        self.left = self.most = left

    def take(self, count: int) -> None:
        """Read so many more.

        Raises:
            RecordError: There are not so many left.
        """
        self.left -= count
        if self.left < 0:
            raise RecordError(f"the request has more than {self.most} values")


def attributes_of(
    pairs: RepeatedCompositeFieldContainer[KeyValue], budget: ValueBudget, depth: int = 0
) -> dict[str, object]:
    """Return attributes, or an object in them, as plain data; of a repeated key the last one.

    Args:
        pairs: The repeated field.
        budget: That of the request.
        depth: In how many lists and objects the values are.

    Raises:
        RecordError: The budget is spent.
    """
    budget.take(len(pairs))
    found: dict[str, object] = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        # The usual kinds first, without a call.
        if kind == "string_value":
            found[pair.key] = value.string_value
        elif kind == "int_value":
            found[pair.key] = value.int_value
        else:
            found[pair.key] = value_of(value, budget, depth)
    return found


def value_of(value: AnyValue, budget: ValueBudget, depth: int = 0) -> object:
    """Return a value as plain data: texts, numbers, bytes, lists and dicts.

    Args:
        value: The message.
        budget: As for `attributes_of`.
        depth: As for `attributes_of`.

    Raises:
        RecordError: As for `attributes_of`.
    """
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "double_value":
        number = value.double_value
        return number if isfinite(number) else plain_scalar(number)
    if kind not in _LISTS:
        return cast("object", getattr(value, kind))
    if depth >= DEEPEST:
        return TOO_DEEP
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values, budget, depth + 1)
    items = value.array_value.values
    budget.take(len(items))
    return [value_of(item, budget, depth + 1) for item in items]


def without_bytes(value: object) -> object:
    """Return plain data with base64 text instead of bytes, as OTLP/JSON has it."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, list):
        return [without_bytes(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {key: without_bytes(item) for key, item in items}
    return value
