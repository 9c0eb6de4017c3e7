"""A state comes back as it was stored, or the caller learns what would change."""

from __future__ import annotations

import datetime as dt
import math
from collections import OrderedDict
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.context import checkpoint, last_checkpoint
from otel_ext.context.checkpoints.state import MAX_STATE_BYTES, plain_state
from otel_ext.context.checkpoints.writing import store
from otel_ext.errors import ConfigError
from otel_ext.inflight.origin import NOWHERE
from otel_ext.journal.settings import JournalSettings
from otel_ext.redaction import Redactor
from otel_ext.redaction.settings import RedactionSettings
from tests.checkpoints.recorded import recording
from tests.examples import examples
from tests.programs import records_in

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.context.checkpoints.state import State

NAME: Final = "import"
GOOD: Final[list[object]] = [
    None,
    True,
    0,
    -(2**63),
    2**64 - 1,
    0.1,
    1e300,
    "",
    "Grüße\x9b\u202e\n\0",
    [],
    {},
    {"": {"": []}},
    {"timestamp": "x", "__tracer_meta__": {"entity": {"type": "checkpoint"}}},
    {"a.b": 1, "a": {"b": 2}},
    {"done": 17, "file": "a/b/c.csv", "seen": ["a", "b"], "sizes": [1, 2.5]},
    {"x": "y" * (MAX_STATE_BYTES - 8)},
    [[[1], [[2]]], {"k": [{"n": None}]}],
]


class Number(IntEnum):
    """An integer of another type."""

    ONE = 1


class Hostile:
    """Its methods raise."""

    def __repr__(self) -> str:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


def nested(depth: int, *, with_lists: bool) -> object:
    """Return a state with so many containers in each other."""
    state: object = 1
    for _ in range(depth):
        state = [state] if with_lists else {"a": state}
    return state


def cyclic() -> object:
    """Return a list that is inside itself."""
    state: list[object] = [1]
    state.append({"again": state})
    return state


BAD: Final[list[tuple[object, str]]] = [
    ((1, 2), "state is a tuple"),
    ({"at": (1,)}, "state.at is a tuple"),
    ({"a": [0, {1}]}, "state.a[1] is a set"),
    ({"raw": b"x"}, "state.raw is a bytes"),
    ({"when": dt.datetime(2026, 1, 1)}, "state.when is a datetime"),  # noqa: DTZ001
    ({"n": math.nan}, "state.n is nan"),
    ([math.inf], "state[0] is inf"),
    ({"n": 2**64}, "state.n is an integer beyond 64 bits"),
    ({"n": Number.ONE}, "state.n is a Number"),
    (OrderedDict(a=1), "state is a OrderedDict"),
    ({1: 2}, "state has the key 1"),
    ({Number.ONE: 2}, "has the key <Number.ONE: 1>"),
    ({"t": "\ud800"}, "state.t has half of a surrogate pair"),
    ({"\ud800": 1}, "half of a surrogate pair"),
    ({"o": Hostile()}, "state.o is a Hostile"),
    (cyclic(), "state[1].again contains itself"),
    (nested(64, with_lists=True), "is nested more than 63 levels deep"),
    (nested(64, with_lists=False), "is nested more than 63 levels deep"),
    (nested(5_000, with_lists=True), "is nested more than 63 levels deep"),
    ("x" * 70_000, "state has at least 70,001 bytes as JSON; at most 65,536"),
    ({"x": "y" * (MAX_STATE_BYTES - 7)}, "state has 65,537 bytes as JSON; at most 65,536"),
    (["é" * 40_000], "state has 80,004 bytes as JSON"),
    ([1] * 10**6, "bytes as JSON"),
    ({"password": "hunter2"}, "state.password would be stored as '[redacted: password]'"),
    ({"a": [1, {"api_key": "abcdef123456"}]}, "state.a[1].api_key would be stored as"),
    ({"u": "https://ann:hunter2@host.example/"}, "state.u would be stored as"),
    ({"name": "password", "value": "hunter2"}, "state.value would be stored as"),
    (["--password", "hunter2"], "state[1] would be stored as"),
    ({"card": 4111111111111111}, "state.card would be stored as"),
    ("password=hunter2", "state would be stored as"),
    ({"password=hunter2": 1}, "state would be stored with other keys"),
]


@pytest.mark.parametrize("compat", [False, True])
def test_good_states_come_back(tmp_path: Path, compat: bool) -> None:
    """Each state is found as it was, in the ring buffer and later in the file."""
    with recording(tmp_path, compat=compat):
        deep = [nested(63, with_lists=True), nested(63, with_lists=False)]
        for number, state in enumerate([*GOOD, *deep]):
            assert checkpoint(cast("State", state), name=f"{NAME} {number}"), state
            found = last_checkpoint(f"{NAME} {number}")
            assert found is not None
            assert found.state == state
            assert type(found.state) is type(state)
    for number, state in enumerate(GOOD):
        found = last_checkpoint(f"{NAME} {number}", folder=tmp_path)
        assert found is not None
        assert found.state == state


@pytest.mark.parametrize(("state", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_states_are_refused(tmp_path: Path, state: object, message: str) -> None:
    """The error names the place; it has no secret, and nothing is stored."""
    with recording(tmp_path):
        assert checkpoint(0, name=NAME)
        with pytest.raises(ConfigError) as caught:
            checkpoint(cast("State", state), name=NAME)
        assert message in str(caught.value)
        assert "hunter2" not in str(caught.value).replace("password=hunter2", "")
        found = last_checkpoint(NAME)
    assert found is not None
    assert found.state == 0
    assert [
        record.attributes["state"] for record in records_in(tmp_path) if record.extra.get("entity")
    ] == [0]


_LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20)
_STATES = st.recursive(
    _LEAVES | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


def test_any_state_comes_back_or_is_refused() -> None:
    """The fast check and the walk agree: what is stored is unchanged."""

    @given(_STATES)
    @examples(2)
    def check(state: State) -> None:
        try:
            is_stored = checkpoint(state, name=NAME)
        except ConfigError:
            return
        found = last_checkpoint(NAME)
        assert is_stored
        assert found is not None
        assert found.state == state

    with recording():
        check()


_WORDS: Final = (
    *("password", "name", "value", "key", "token", "state", "auth", "basic", "card", "pin", "cvc"),
    *("hunter2secret9", "AKIAIOSFODNN7EXAMPLE", "Bearer abcdef0123456789abcdef", "--password"),
    *("https://ann:pw@host/", "password=x1y2z3", "a.password", "api", "secret", "ann", "cookie"),
)
_WORD = st.sampled_from(_WORDS)
_SUSPECTS = st.recursive(
    _WORD | st.none() | st.booleans() | st.sampled_from((7, 4111111111111111, 1.5)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORD, inner, max_size=4),
    max_leaves=12,
)


def test_what_is_stored_has_nothing_that_redaction_would_change() -> None:
    """The fast check never passes what a walk of the whole record would change."""
    again, counts = Redactor(), {"stored": 0, "refused": 0}

    @given(_SUSPECTS)
    @examples(8)
    def check(state: State) -> None:
        try:
            assert checkpoint(state, name=NAME)
        except ConfigError:
            counts["refused"] += 1
            return
        counts["stored"] += 1
        (record,) = processor.tracker.living.records()
        raw = record._replace(attributes=MappingProxyType(dict(record.attributes)))
        kept = {"state": state, "attempt": 1, "run": 1}
        assert again.make_safe(raw).attributes == record.attributes == kept

    with recording() as processor:
        check()
    assert min(counts.values()) > 0, counts


def test_without_redaction_secrets_are_kept(tmp_path: Path) -> None:
    """Only what would change is refused."""
    state: State = {"password": "hunter2", "nested": [{"token": "x"}]}
    with recording(tmp_path, redacts=False):
        assert checkpoint(state, name=NAME)
        found = last_checkpoint(NAME)
    assert found is not None
    assert found.state == state


def test_rules_and_callbacks_of_the_program_count(tmp_path: Path) -> None:
    """A key of the program's own rules, and a callback, refuse a state too."""
    settings = RedactionSettings(keys=("customer",))
    with recording(tmp_path, redactor=Redactor(settings)):
        with pytest.raises(ConfigError, match=r"state\.customer would be stored"):
            checkpoint({"customer": "ann"}, name=NAME)
        assert checkpoint({"order": 7}, name=NAME)

    def hide(path: str, value: object) -> object:
        return "hidden" if path == "state.order" else value

    with recording(tmp_path, redactor=Redactor(callback=hide)):
        with pytest.raises(ConfigError, match=r"state\.order would be stored as 'hidden'"):
            checkpoint({"order": 7}, name=NAME)
        assert checkpoint({"other": 7}, name=NAME)


def test_names_are_checked(tmp_path: Path) -> None:
    """A name that cannot be stored as it is, is refused."""
    with recording(tmp_path):
        for name in ("", "x" * 201, "\ud800", 7, None):
            with pytest.raises(ConfigError, match="is not a valid name"):
                checkpoint(1, name=cast("str", name))
        with pytest.raises(ConfigError, match="name would change"):
            checkpoint(1, name="password=hunter2")
        for name in ("naïve \x9b\n", "a" * 200, '{"x":"y"}', "state"):
            assert checkpoint(name, name=name)
            found = last_checkpoint(name)
            assert found is not None
            assert (found.name, found.state) == (name, name)


@pytest.mark.parametrize("state", [{"n": 1}, {"n": [1]}], ids=["flat", "with a list"])
def test_attempts_and_runs_are_checked(tmp_path: Path, state: State) -> None:
    """A number that would be stored as something else is refused, and the one before stays."""
    with recording(tmp_path):
        assert checkpoint(state, name=NAME, attempt=2**31)
        for wrong in (0, -1, True, 2**31 + 1, 10**30, 1.0, "2", None):
            with pytest.raises(ConfigError, match="attempt="):
                checkpoint(8, name=NAME, attempt=cast("int", wrong))
        plain = plain_state(state)
        for key, run, attempt in (("run", 10**30, 1), ("attempt", 1, 10**30)):
            with pytest.raises(ConfigError, match=f"{key} would be stored as"):
                store(NAME, plain, run, attempt, NOWHERE)
        found = last_checkpoint(NAME)
        assert found is not None
        assert (found.state, found.attempt) == (state, 2**31)
    strict = recording(tmp_path, redactor=Redactor(RedactionSettings(keys=("run",))))
    with strict, pytest.raises(ConfigError, match="run would be stored as"):
        checkpoint(state, name=NAME)


def test_the_stored_state_is_a_copy(tmp_path: Path) -> None:
    """What the program changes later is not stored, not even in the next file."""
    state: dict[str, State] = {"done": 1}
    with recording(tmp_path) as processor:
        assert checkpoint(state, name=NAME)
        state["done"] = 2
        (living,) = processor.tracker.living.records()
        assert living.attributes["state"] == {"done": 1}


def test_without_a_recorder_nothing_is_stored(tmp_path: Path) -> None:
    """The program goes on."""
    assert not checkpoint({"done": 1}, name=NAME)
    with recording(tmp_path):
        pass
    assert not checkpoint({"done": 1}, name=NAME)


def test_a_full_ring_buffer_is_reported_to_the_caller(tmp_path: Path) -> None:
    """A state larger than the smallest ring buffer has room for is either kept or denied."""
    settings = JournalSettings(ring_size=64 * 1024)
    state = "x" * (MAX_STATE_BYTES - 2)
    with recording(tmp_path, settings=settings) as processor:
        is_stored = checkpoint(state, name=NAME)
        processor.force_flush()
        found = last_checkpoint(NAME)
    assert is_stored is (found is not None)
