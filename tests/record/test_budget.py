"""Endless data: a record costs a bounded amount of work, and notes what it leaves out."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
import logging
from collections import UserDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import pytest
import structlog

from otel_ext.processors.tracer_meta import TracerMetaRenderer
from otel_ext.record.codec import encode_line, encode_line_python
from otel_ext.record.model import Process, Record, SpanEvent
from otel_ext.record.sanitise.budget import CIRCULAR, TOO_MUCH, WORK, Budget
from otel_ext.record.sanitise.values import MAX_LINE_BYTES, encode_object, encode_value
from otel_ext.record.sanitise.walk import Walker
from otel_ext.record.schema.validation import validate_line
from otel_ext.redaction import Redactor

# Data without end; measuring coverage would take most of the time.
pytestmark = pytest.mark.usefixtures("untraced")

LEVELS = 60


@dataclasses.dataclass
class Pair:
    """A dataclass that can hold itself."""

    left: object
    right: object


class Held(Mapping[str, object]):
    """A mapping that is not a dict."""

    def __init__(self, held: dict[str, object]) -> None:
        self.held = held

    def __getitem__(self, key: str) -> object:
        """Return one value."""
        return self.held[key]

    def __iter__(self) -> Iterator[str]:
        """Return an iterator of the keys."""
        return iter(self.held)

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self.held)


Two = Callable[[Any, Any], Any]
SHAPES: dict[str, Two] = {
    "dict": lambda one, two: {"a": one, "b": two},
    "list": lambda one, two: [one, two],
    "tuple": lambda one, two: (one, two),
    "deque": lambda one, two: deque([one, two]),
    "set": lambda one, two: frozenset([one, (two,)]),
    "mapping": lambda one, two: Held({"a": one, "b": two}),
    "proxy": lambda one, two: MappingProxyType({"a": one, "b": two}),
    "dataclass": Pair,
    "mixed": lambda one, two: [{"a": one}, Pair(two, (one,))],
}


def doubled(shape: Two) -> object:
    """Return a value without a cycle that would be 2^60 values when written out."""
    value: object = 1
    for _ in range(LEVELS):
        value = shape(value, value)
    return value


def family() -> dict[str, object]:
    """Return a parent whose children refer to it, as in trees."""
    parent: dict[str, object] = {"name": "parent"}
    parent["children"] = [{"name": str(number), "parent": parent} for number in range(2)]
    return parent


EXPECTED = {
    "name": "parent",
    "children": [{"name": "0", "parent": CIRCULAR}, {"name": "1", "parent": CIRCULAR}],
}


def log(attributes: Mapping[str, object]) -> Record:
    """Return a log record."""
    return Record("log", None, "x", 0, 1, Process("p"), attributes=attributes)


def encoded_raw(attributes: dict[str, object]) -> dict[str, Any]:
    """Return the attributes in the line of a record without redaction; both encoders agree."""
    line = encode_line(log(attributes))
    assert line == encode_line_python(log(attributes))
    assert validate_line(line) == []
    return cast("dict[str, Any]", json.loads(line))


def encoded_clean(attributes: dict[str, object]) -> dict[str, Any]:
    """Return the attributes in the line of a redacted record."""
    line = encode_line(Redactor().redact(log(attributes)))
    assert validate_line(line) == []
    return cast("dict[str, Any]", json.loads(line))


both_ways = pytest.mark.parametrize("encoded", [encoded_raw, encoded_clean], ids=["raw", "clean"])


@both_ways
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_shared_data_is_bounded_and_loses_only_itself(
    shape: Two, encoded: Callable[[dict[str, object]], dict[str, Any]]
) -> None:
    """Data in which each level holds the next one twice is cut, with notes; its neighbours stay."""
    found = encoded({"before": 1, "tree": doubled(shape), "rows": [{"n": 1}], "after": "x"})
    assert (found["before"], found["rows"], found["after"]) == (1, [{"n": 1}], "x")
    assert "<left out: " in json.dumps(found["tree"])


@both_ways
def test_circular_data_is_marked_where_it_repeats(
    encoded: Callable[[dict[str, object]], dict[str, Any]],
) -> None:
    """Each circular reference is marked once, where it is; the user's objects are untouched."""
    parent = family()
    keys = copy.copy(parent)
    found = encoded({"tree": parent, "again": parent, "n": 1})
    assert found["tree"] == found["again"] == EXPECTED
    assert parent == keys
    children = cast("list[dict[str, object]]", parent["children"])
    assert all(child["parent"] is parent for child in children)


def circles() -> Iterator[tuple[str, object]]:
    """Return values that contain themselves, of each type that can."""
    items: list[object] = []
    items += [items, (items,)]
    yield "list", items
    pair = Pair(1, 2)
    pair.left, pair.right = pair, [pair, pair]
    yield "dataclass", pair
    user: UserDict[str, object] = UserDict()
    user["a"] = [user, user]
    yield "mapping", user
    queue: deque[object] = deque()
    queue += [queue, {"q": queue}]
    yield "deque", queue
    inner: dict[str, object] = {}
    inner["proxy"] = [MappingProxyType(inner), MappingProxyType(inner)]
    yield "proxies made anew", inner


@both_ways
@pytest.mark.parametrize(
    "value", [one for _, one in circles()], ids=[name for name, _ in circles()]
)
def test_every_kind_of_circle_ends(
    value: object, encoded: Callable[[dict[str, object]], dict[str, Any]]
) -> None:
    """Whatever contains itself ends with a mark, and its neighbours stay."""
    found = encoded({"value": value, "n": 1, "list": [1]})
    assert (found["n"], found["list"]) == (1, [1])
    assert CIRCULAR in json.dumps(found["value"])


def test_shared_objects_that_are_not_circular_are_written_each_time() -> None:
    """One object used twice is not circular."""
    address = {"city": "Bern"}
    value = {"home": address, "work": [address, address]}
    assert encoded_raw({"v": value})["v"] == value
    assert encoded_clean({"v": value})["v"] == value


@both_ways
@pytest.mark.parametrize(
    "value",
    [
        [{f"key {number}": number for number in range(2_000)}] * 2_000,
        ["x" * 65_000] * 100_000,
        ["password=abc token: xyz " * 400] * 100_000,
        [b"x" * 10_000_000] * 1_000,
        [memoryview(b"x" * 10_000_000)] * 1_000,
        {f"password {number}": [[1] * 4_096] * 4_096 for number in range(5_000)},
        [[[[[1] * 4_096] * 4_096] * 4_096] * 4_096],
    ],
    ids=["rows", "texts", "suspicious texts", "bytes", "views", "secrets", "wide"],
)
def test_large_shared_values_are_bounded(
    value: object, encoded: Callable[[dict[str, object]], dict[str, Any]]
) -> None:
    """Large values used many times stay within the budget; their neighbours stay."""
    found = encoded({"value": value, "n": 1, "list": [1]})
    assert (found["n"], found["list"]) == (1, [1])
    assert "<left out: " in json.dumps(found["value"])


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_work_is_counted_not_timed(shape: Two) -> None:
    """The number of steps stays within the budget, whatever the shape."""
    budget = Budget()
    budget.next_share()
    walker = Walker(budget)
    walker.value(doubled(shape))
    assert walker.was_cut
    assert budget.left > 0
    assert WORK - budget.left < WORK


def test_many_endless_values_leave_room_for_each_other() -> None:
    """Each value has a share of the budget, so a small one after ten endless ones stays."""
    endless = {f"tree {number}": doubled(SHAPES["dict"]) for number in range(10)}
    for encoded in (encoded_raw, encoded_clean):
        assert encoded({**endless, "small": {"a": [1, 2]}})["small"] == {"a": [1, 2]}


def test_keys_that_the_budget_does_not_reach_are_counted() -> None:
    """A record with very many endless values ends, and counts the keys left out."""
    tree = doubled(SHAPES["list"])
    for encoded in (encoded_raw, encoded_clean):
        found = encoded({f"tree {number}": tree for number in range(50_000)})
        del found["__tracer_meta__"]
        assert found["…"] == f"<left out: {50_000 - len(found) + 1} keys>"


def test_what_the_budget_does_not_reach_holds_no_secret() -> None:
    """Beyond the budget nothing is kept unsearched: neither values, nor keys, nor events."""
    tree: list[object] = [f"item number {number}" for number in range(90_000)]
    tree += ["password=hunter2", {"token=hunter2": 1}]
    rows = [{"password": "hunter2", "note": "token=hunter2"}] * 50_000
    attributes: dict[str, object] = {"a": tree, "b": rows, "c": tuple(rows), "d": {"e": rows}}
    attributes |= {f"password=hunter2 {number}": rows for number in range(100)}
    event = SpanEvent("e", 0, attributes)
    record = log(attributes)._replace(events=(event,) * 20)
    clean = Redactor().redact(record)
    assert b"hunter2" not in encode_line(clean)
    assert "hunter2" not in repr(clean)
    assert b"left out" in encode_line(clean)


def test_cutting_what_was_cut_changes_nothing() -> None:
    """A line that is read and written again is the same, its notes included."""
    for shape in ("dict", "list"):
        encoded = encode_object({"v": doubled(SHAPES[shape]), "n": 1})
        assert encode_object(json.loads(encoded)) == encoded


def test_logs_of_circular_data_are_written(caplog: pytest.LogCaptureFixture) -> None:
    """Logging such data by structlog, or by the standard library's `extra`, ends and is noted."""
    chain: list[Any] = [TracerMetaRenderer(redact=Redactor().redact)]
    logger = structlog.wrap_logger(structlog.ReturnLogger(), processors=chain)
    found = json.loads(logger.info("x", tree=family(), user="ann"))
    assert (found["tree"], found["user"]) == (EXPECTED, "ann")
    bridge = structlog.stdlib.ProcessorFormatter(
        processors=[TracerMetaRenderer(text=True)],
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
    )
    with caplog.at_level(logging.INFO):
        logging.getLogger("tests.budget").info("x", extra={"tree": family(), "user": "ann"})
    found = json.loads(bridge.format(caplog.records[0]))
    assert (found["tree"], found["user"]) == (EXPECTED, "ann")


class Endless(Sequence[int]):
    """A sequence without a known length, too long to walk."""

    def __len__(self) -> int:
        """Refuse to return a length."""
        raise RuntimeError("no idea")

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - slices are not asked for
        """Return any item."""
        return 7


@both_ways
@pytest.mark.parametrize(
    ("value", "note"),
    [
        (range(10**9), ""),
        (range(10**30), "<left out: more items>"),
        (Endless(), "<left out: more items>"),
    ],
    ids=["large", "beyond len", "endless"],
)
def test_lazy_sequences_are_not_written_out(
    value: object, note: str, encoded: Callable[[dict[str, object]], dict[str, Any]]
) -> None:
    """A lazy sequence is asked for no more items than are kept."""
    items = encoded({"v": value})["v"]
    assert len(items) <= 100_000
    expected = f"<left out: {10**9 - len(items) + 1} items>" if value == range(10**9) else note
    assert items[-1] == expected


def test_cutting_twice_counts_what_was_cut_before() -> None:
    """Data that is made plain before redaction is counted with its original size."""
    items = encoded_clean({"v": deque(f"item: {number}" for number in range(300_000))})["v"]
    assert items[-1] == f"<left out: {300_000 - len(items) + 1} items>"


class Tree(enum.Enum):
    """An enumeration whose value is endless."""

    ENDLESS = doubled(SHAPES["list"])


def test_an_enumeration_of_endless_data_is_bounded() -> None:
    """The value of an enumeration's member is walked like any other."""
    found = encoded_raw({"v": Tree.ENDLESS, "n": 1})
    assert found["n"] == 1
    assert "<left out: " in json.dumps(found["v"])


def test_a_value_that_was_cut_and_is_still_too_large_is_noted() -> None:
    """Its full size is unknown: the note has "over"."""
    text = "x" * 60_000
    found = json.loads(encode_object({"v": [text] * 10_000, "n": 1}))
    assert found["v"].startswith("<left out: over ")
    assert found["n"] == 1


def test_one_value_alone_has_a_budget_as_well() -> None:
    """`encode_value` is bounded like a record."""
    encoded = encode_value(doubled(SHAPES["dict"]))
    assert TOO_MUCH.encode() in encoded or b"<left out: " in encoded
    assert len(encoded) < 4 * MAX_LINE_BYTES
