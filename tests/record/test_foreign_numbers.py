"""Numbers of numpy and similar libraries become JSON numbers, also after redaction."""

from __future__ import annotations

import json
import numbers
from fractions import Fraction
from importlib import import_module
from typing import Any, NoReturn

import pytest

from otel_ext.record.codec import encode_line, encode_line_python
from otel_ext.record.model import Process, Record
from otel_ext.record.sanitise.values import encode_object, encode_value
from otel_ext.redaction import Redactor

np: Any = import_module("numpy")  # untyped: its types need a newer Python than the oldest


class Scalar:
    """A number without the classes of `numbers`, such as a tensor without a dimension."""

    ndim = 0

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return f"Scalar({self._value})"

    def item(self) -> object:
        """Return the number."""
        return self._value


@numbers.Real.register
class HostileReal:
    """Claims to be a number, but cannot be converted."""

    def __float__(self) -> NoReturn:
        raise RuntimeError("hostile")

    def __str__(self) -> str:
        return "hostile"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int8(-7), -7),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float16(0.25), 0.25),
        (np.float32(0.25), 0.25),
        (np.float64(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.float32("nan"), "NaN"),
        (np.float32("-inf"), "-Infinity"),
        (np.longdouble("inf"), "Infinity"),
        (np.bool_(1), True),
        (np.False_, False),
        (np.array(3), 3),
        (np.array(np.True_), True),
        (np.array([1, 2]), "[1 2]"),
        (np.array([7]), "[7]"),
        (np.timedelta64(5, "ns"), "5 nanoseconds"),
        (np.datetime64("2026-11-20"), "2026-11-20"),
        (np.complex64(1), "(1+0j)"),
        (np.str_("text"), "text"),
        ([np.int64(1), {"loss": np.float32(2)}], [1, {"loss": 2.0}]),
        (Fraction(1, 4), 0.25),
        (Fraction(10**400), str(10**400)),
        (Scalar(0.25), 0.25),
        (Scalar(2**70), str(2**70)),
        (Scalar(value=False), False),
        (Scalar("text"), "Scalar(text)"),
        (HostileReal(), "hostile"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_other_libraries(value: object, expected: object) -> None:
    """A library's number becomes a JSON number; anything else stays text."""
    got = json.loads(encode_value(value))
    assert got == expected
    assert type(got) is type(expected)
    assert json.loads(encode_object({"odd": value})) == {"odd": expected}
    record = Record("log", None, "trained", 0, 1, Process("p"), attributes={"odd": value})
    assert encode_line(record) == encode_line_python(record)
    assert json.loads(encode_line(Redactor().redact(record)))["odd"] == expected
