"""The defined encodings: every value becomes valid JSON, and loses only itself."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from collections import UserDict, deque
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.record.sanitise.values import (
    MAX_DEPTH,
    MAX_LINE_BYTES,
    MAX_TEXT,
    encode_object,
    encode_text,
    encode_value,
)


class BadError(Exception):
    """The error that hostile values raise."""


def bad(*_: object, **__: object) -> NoReturn:
    """Raise."""
    raise BadError("hostile")


class Silent:
    """A value whose text raises."""

    __str__ = __repr__ = bad


class Lying:
    """A value whose `__str__` returns something else."""

    def __str__(self) -> Any:  # noqa: ANN401 - that is the point
        """Return a number."""
        return 7  # noqa: PLE0307


class HostileMapping(Mapping[str, object]):
    """A mapping that raises on every access."""

    __getitem__ = __iter__ = __len__ = bad


class Mute:
    """The same, except that a failing test can print it."""

    __str__ = bad


class HostileText(str):
    """A text whose methods raise."""

    __slots__ = ()
    __str__ = __len__ = isascii = encode = bad


class HostileNumber(int):
    """A number that cannot be compared."""

    __le__ = __ge__ = __lt__ = __gt__ = __eq__ = bad
    __hash__ = bad


class Same:
    """A value with the same text as all others of its class."""

    def __str__(self) -> str:
        """Return that text."""
        return "same"


class Color(enum.Enum):
    """An enumeration."""

    RED = "red"


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    y: float


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass with slots, one of them unset, and one private."""

    a: int
    unset: int = dataclasses.field(init=False)
    _own: int = 7


HUGE = 10**5_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (-0.0, -0.0),
        (b"\xff", "/w=="),
        (bytearray(b"\xff"), "/w=="),
        (memoryview(b"\xff"), "/w=="),
        (2**63, 2**63),
        (2**64, str(2**64)),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (True, True),
        (None, None),
        ("\ud83d\ude42", "🙂"),
        ("a\ud800", "a\ufffd"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
        ((1, (2,)), [1, [2]]),
        ({3}, [3]),
        (deque([1]), [1]),
        (UserDict({"a": 1}), {"a": 1}),
        ({1: "a", None: "b", 2.5: "c"}, {"1": "a", "None": "b", "2.5": "c"}),
        (range(3), [0, 1, 2]),
        (dt.date(2026, 11, 20), "2026-11-20"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Color.RED, "red"),
        (Point(1, float("nan")), {"x": 1, "y": "NaN"}),
        (decimal.Decimal("1.10"), "1.10"),
        (Silent(), "<unprintable: Silent>"),
        (Lying(), "<unprintable: Lying>"),
        (HostileMapping(), "<unprintable: HostileMapping>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_defined_encodings(value: object, expected: object) -> None:
    """Each awkward value has one encoding, alone and among others."""
    assert json.loads(encode_value(value)) == expected
    among = json.loads(encode_object({"before": 1, "odd": value, "after": [2]}))
    assert among == {"before": 1, "odd": expected, "after": [2]}


@pytest.mark.parametrize("value", [HostileText("text"), HostileNumber(7)], ids=["text", "number"])
def test_hostile_kinds_of_text_and_number(value: object) -> None:
    """Subclasses whose methods raise are read as their base type, or are unprintable."""
    got = json.loads(encode_object({"odd": value, "nan": float("nan")}))
    assert got["odd"] in ("text", 7, "<unprintable: HostileNumber>")
    assert got["nan"] == "NaN"


def test_huge_integer_is_reported_in_hex_where_decimal_is_refused() -> None:
    """Python refuses the digits of very long integers, but not their hex form."""
    got = json.loads(encode_value(HUGE))
    assert got == hex(HUGE)


def test_long_text_is_cut_with_a_note() -> None:
    """A text beyond the limit is cut, and the note counts the characters."""
    text = json.loads(encode_object({"t": "x" * (MAX_TEXT + 1)}))["t"]
    kept, _, note = text.partition("…")
    assert note == f"[+{MAX_TEXT + 1 - len(kept)} characters]"
    assert len(text) <= MAX_TEXT
    assert json.loads(encode_object({"t": "x" * MAX_TEXT}))["t"] == "x" * MAX_TEXT


def test_deep_nesting_ends() -> None:
    """Nesting beyond the limit ends in a note, even with 100,000 levels."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    found = json.loads(encode_object({"deep": deep, "good": 1}))
    assert found["good"] == 1
    levels = 1
    inner: object = found["deep"]
    while isinstance(inner, list):
        levels += 1
        inner = cast("list[object]", inner)[0]
    assert inner == "<too deep>"
    assert levels == MAX_DEPTH
    while deep:  # the interpreter's own clean-up of such nests may run deep, too
        deep = cast("list[object]", deep.pop())


def test_value_that_holds_itself() -> None:
    """A list that contains itself is marked; test_budget.py has the other types."""
    loop: list[object] = [1]
    loop.append(loop)
    assert encode_object({"loop": loop}) == b'{"loop":[1,"<circular>"]}'


def test_long_list_is_cut_with_a_note() -> None:
    """Items beyond the limit are left out, and the note counts them."""
    found = json.loads(encode_object({"n": [float("nan")] * 100_005}))["n"]
    assert len(found) == 100_000
    assert found[-1] == "<left out: 6 items>"


def test_value_too_large_for_the_line_is_left_out() -> None:
    """A value that the line has no room for is left out, its neighbours stay."""
    big = {f"k{number}": "x" * 60_000 for number in range(30)}
    encoded = encode_object({"a": 1, "big": big, "b": 2})
    found = json.loads(encoded)
    assert (found["a"], found["b"]) == (1, 2)
    assert found["big"].startswith("<left out: ")
    assert found["big"].endswith(" bytes>")
    assert len(encoded) <= MAX_LINE_BYTES


def test_endless_keys_are_bounded() -> None:
    """More keys than the line has room for: those that fit are kept, the others counted."""
    encoded = encode_object({f"key {number:06d}": "x" * 100 for number in range(50_000)})
    assert len(encoded) <= MAX_LINE_BYTES
    found = json.loads(encoded)
    assert len(found) > 9_000
    assert list(found)[-1] == "…"
    assert found["…"] == f"<left out: {50_000 - len(found) + 1} keys>"
    assert encode_object(found) == encoded


def test_note_on_keys_replaces_no_key_of_the_users() -> None:
    """A key of the user's with the note's name stays beside it."""
    keys: dict[str, object] = {"…": "mine"}
    keys.update((f"key {number:06d}", "x" * 200) for number in range(20_000))
    found = json.loads(encode_object(keys))
    assert found["…"] == "mine"
    assert found["… (2)"] == f"<left out: {20_001 - len(found) + 1} keys>"


def test_large_value_is_left_out_before_its_neighbours() -> None:
    """In a short line a value that is too large is left out, and small keys after it stay."""
    keys: dict[str, object] = {f"k{number}": "x" for number in range(300)}
    keys |= {"nan": float("nan"), "big": ["x" * 1_000] * 20, "after": 1}
    found = json.loads(encode_object(keys, 8_192))
    assert found["big"] == "<left out: 20061 bytes>"
    assert (found["k299"], found["after"]) == ("x", 1)


def test_different_keys_with_the_same_text_are_all_kept() -> None:
    """Keys that differ in the program but not as text are numbered."""
    odd: dict[Any, object] = {1: "a", "1": "b", "1 (2)": "c", b"k": 0}
    odd |= dict(zip(["a\ud800", "a\udc00", None, "None"], range(1, 5), strict=True))
    expected = {
        "1": "a",
        "1 (2)": "b",
        "1 (2) (2)": "c",
        "b'k'": 0,
        "a\ufffd": 1,
        "a\ufffd (2)": 2,
        "None": 3,
        "None (2)": 4,
    }
    assert json.loads(encode_object(odd)) == expected
    assert json.loads(encode_object({"in": [odd]})) == {"in": [expected]}


def test_thousands_of_keys_with_the_same_text() -> None:
    """Their numbers are found without trying all used ones."""
    keys = {Same(): number for number in range(5_000)}
    found = json.loads(encode_object({"v": keys}))["v"]
    assert list(found.values()) == list(range(5_000))
    assert list(found)[:2] == ["same", "same (2)"]


def test_dataclass_with_awkward_fields_loses_only_those() -> None:
    """Fields are walked like the entries of a mapping."""
    held = Point(cast("int", [float("inf"), b"x", 2**70]), cast("float", {"s": "a\ud800"}))
    assert json.loads(encode_object({"p": held, "n": 1})) == {
        "p": {"x": ["Infinity", "eA==", str(2**70)], "y": {"s": "a\ufffd"}},
        "n": 1,
    }
    assert json.loads(encode_value(Point(cast("int", Silent()), 2.5))) == {
        "x": "<unprintable: Silent>",
        "y": 2.5,
    }


def test_dataclass_with_slots_of_which_one_is_not_set() -> None:
    """An unset field is left out; the process does not crash."""
    assert json.loads(encode_object({"v": Slotted(1), "n": [Slotted(2)]})) == {
        "v": {"a": 1},
        "n": [{"a": 2}],
    }
    full = Slotted(1)
    full.unset = 2
    assert json.loads(encode_value(full)) == {"a": 1, "unset": 2}


def test_users_key_of_our_name_is_shielded() -> None:
    """The user's own `__tracer_meta__` is renamed, without replacing another key."""
    assert json.loads(encode_object({"__tracer_meta__": 1})) == {"user.__tracer_meta__": 1}
    both = {"__tracer_meta__": 1, "user.__tracer_meta__": 2}
    assert sorted(json.loads(encode_object(both)).values()) == [1, 2]


def test_mapping_that_cannot_be_read() -> None:
    """Attributes that raise on every access become one note."""
    assert encode_object(HostileMapping()) == '{"…":"<unprintable: HostileMapping>"}'.encode()


def test_mapping_that_changes_while_it_is_read() -> None:
    """A mapping that grows while it is encoded loses at most itself."""

    class Growing(dict[str, object]):
        def items(self) -> Any:  # noqa: ANN401
            def walk() -> Iterator[tuple[str, object]]:
                for key, value in super(Growing, self).items():
                    self[key + "x"] = value
                    yield key, value

            return walk()

    encoded = encode_object(Growing(a=float("nan")))
    assert json.loads(encoded)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.uuids()
    | st.sampled_from([Mute(), Lying(), object(), 10**4_000, "\ud800"]),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.text(), anything))
def test_anything_becomes_strict_json(mapping: dict[str, object]) -> None:
    """Any mapping becomes strict JSON on one line, the same when read and written again."""
    encoded = encode_object(mapping)
    found = orjson.loads(encoded)
    assert json.loads(encoded) == found
    assert b"\n" not in encoded
    assert len(encoded) <= MAX_LINE_BYTES
    assert encode_object(found) == encoded


@given(st.text())
def test_text_becomes_a_string(text: str) -> None:
    """Any text becomes a JSON string that reads the same, except lone surrogates."""
    found = json.loads(encode_text(text))
    assert found == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp"])))
def test_control_characters_are_escaped(text: str) -> None:
    """Characters that control a terminal are written as escapes."""
    encoded = encode_text(text).decode()
    for char in "\x1b\x7f\x9b\u202e\u2066\u2028\ufeff\x00\n":
        assert char not in encoded
