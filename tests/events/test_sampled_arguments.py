"""`SampledEvents` with arguments that are wrong or hostile."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from typing import TYPE_CHECKING, NoReturn

import pytest

from otel_ext.errors import ConfigError
from otel_ext.events import SampledEvents
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.testing import RecordCapture

# No timer ends it within a test.
LONG = 3_600.0


class Hostile:
    """A value whose every method fails."""

    def _fail(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __hash__ = __eq__ = __str__ = __repr__ = __float__ = __len__ = __iter__ = _fail


class Text(str):
    """A text that must not be hashed or compared by its own methods."""

    __slots__ = ()

    def __hash__(self) -> int:
        raise RuntimeError("no")


class Name(str):
    """A text of a subclass."""

    __slots__ = ()


class Shouting(dict[str, object]):
    """A mapping that fails."""

    def items(self) -> NoReturn:
        """Fail."""
        raise RuntimeError("no")


def test_keys_that_are_equal_or_long_are_kept_apart(records: RecordCapture) -> None:
    """1 and True are different, and so are long texts, of which little is kept."""
    long = "x" * 1_000_000
    with SampledEvents(window=LONG, keys=["key"]) as events:
        for key in (1, True, "1", long + "a", long + "b", 1):
            events.emit("keys", {}, {"key": key, **{f"fact {n}": n for n in range(100)}})
    found = [record for record in records.records if record.kind == "event"]
    assert [record.attributes["suppressed"] for record in found] == [1, 0, 0, 0, 0]
    assert max(len(str(record.attributes)) for record in found) < 10_000


def test_hostile_arguments_raise_nothing(
    records: RecordCapture, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is usable of an event is recorded; the rest is counted and reported once."""
    refused = "sampled_events.measurements_refused"
    before = COUNTERS.value(refused), COUNTERS.value("dropped.sampled_events")
    odd: list[object] = [nan, inf, -inf, "3", None, Hostile(), 10**400, [1], 1j]
    keys: list[object] = [Hostile(), Text("a"), nan, [Hostile()], {}, 10**300, b"a"]
    with SampledEvents(window=LONG, keys=["key"]) as events:
        for value in odd:
            events.emit("odd", {"n": value, "good": 1})  # type: ignore[dict-item]
        for key in keys:
            events.emit("keys", {"n": 1}, {"key": key})
        for arguments in (3, None, [1], Hostile(), "text"):
            events.emit("wrong", arguments, arguments)  # type: ignore[arg-type]
        for name in (None, 7, Text("name"), Hostile()):
            events.emit(name, {"n": 1})  # type: ignore[arg-type]
        events.emit("fails", Shouting(a=1), Shouting(a=1))  # type: ignore[arg-type]
        events.emit("numbers", {"n": Fraction(1, 2), "m": True, Name("t"): 1, 3: 4})  # type: ignore[dict-item]
        events.emit("numbers", {"n": 2**70, "d": Decimal(1)})  # type: ignore[dict-item]
    found = [record for record in records.records if record.kind == "event"]
    (odd_one,) = [record for record in found if record.name == "odd"]
    assert odd_one.attributes["good.count"] == len(odd)
    assert "n.count" not in odd_one.attributes
    assert len([record for record in found if record.name == "keys"]) == 7
    (wrong,) = [record for record in found if record.name == "wrong"]
    assert wrong.attributes["suppressed"] == 4
    names = {record.name for record in found}
    assert {"None", "7", "name"} <= names
    assert any(name.startswith("<Hostile") for name in names)
    (numbers,) = [record for record in found if record.name == "numbers"]
    assert numbers.attributes["n.sum"] == 2.0**70 + 0.5
    assert numbers.attributes["m.sum"] == numbers.attributes["t.sum"] == 1
    # The odd ones; five that are no mapping; the name 3, and the Decimal.
    assert COUNTERS.value(refused) - before[0] == len(odd) + 5 + 2
    assert COUNTERS.value("dropped.sampled_events") - before[1] == 1  # of the failing mapping
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if "not a finite number" in line]) <= 1


def failing() -> Iterator[str]:
    """Yield one key, then fail."""
    yield "key"
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(({"window": value}, "window=") for value in (0, -1, nan, inf, "1", None, True, 1e9)),
        *(({"max_names": value}, "max_names=") for value in (0, -1, 1.5, "9", None, True)),
        *(({"keys": value}, "keys=") for value in ("cache", b"a", [1], None, 3, failing())),
        *(({"rates": value}, "rates=") for value in (None, 0.5, [1], "cache.*")),
        *(({"rates": {"a": value}}, " of 'a' is not") for value in (-0.1, 1.1, nan, "1", True)),
        *(({"rates": {value: 1}}, "is not a valid pattern") for value in ("", "a*b", 3, "a b")),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    """The error names the argument, its value and what to use."""
    with pytest.raises(ConfigError) as caught:
        SampledEvents(**arguments)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "Use " in str(caught.value)
