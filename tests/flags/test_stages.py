"""The five stages: percentages, history, going back; evaluated by flagd's evaluator."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.evaluation_context import (  # pyright: ignore[reportMissingTypeStubs]
    EvaluationContext,
)

from otel_ext.errors import ConfigError
from otel_ext.flags.ruleset import Ruleset
from otel_ext.flags.stages import (
    DEFAULT_PERCENTAGES,
    Rollout,
    Step,
    at_stage,
    checked_percentages,
    new_flag,
    rollout_of,
    sides_of,
)
from tests.flags.files import staged

IDS = st.integers(1, (1 << 128) - 1).map(lambda number: f"{number:032x}")
PERCENTAGES = (
    st.lists(st.integers(0, 10_000).map(lambda one: one / 100), min_size=4, max_size=4)
    .map(sorted)
    .map(lambda values: (*values, 100.0))
)


def is_on(flag: dict[str, object], key: str | None, name: str = "search") -> bool:
    """Evaluate a flag for a targeting key."""
    rules = Ruleset({"flags": {name: flag}})
    context = EvaluationContext(key)
    return rules.evaluator().resolve_boolean_value(name, False, context).value  # noqa: FBT003


@given(st.lists(IDS, min_size=1, max_size=20), PERCENTAGES)
def test_a_trace_that_is_in_stays_in(keys: list[str], percentages: tuple[float, ...]) -> None:
    """At each stage all traces of the stage before are in, whatever the percentages."""
    before: set[str] = set()
    for stage in range(6):
        flag = staged(stage, *percentages)
        now = {key for key in keys if is_on(flag, key)}
        assert before <= now
        before = now
    assert before == set(keys)


@pytest.mark.parametrize(("stage", "share"), list(enumerate((0.0, *DEFAULT_PERCENTAGES))))
def test_the_share_of_the_traces_is_the_percentage(stage: int, share: float) -> None:
    """Of many trace ids, within five standard deviations."""
    number = 5_000
    rules = Ruleset({"flags": {"search": staged(stage)}})
    # Every 64 bits differ from one to the next, as those of random ids do.
    keys = [
        f"{one * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}" for one in range(number)
    ]
    found = sum(
        rules.evaluator().resolve_boolean_value("search", False, EvaluationContext(key)).value  # noqa: FBT003
        for key in keys
    )
    part = share / 100
    assert abs(found - number * part) <= 5 * (number * part * (1 - part)) ** 0.5


def test_flags_do_not_choose_the_same_traces() -> None:
    """Two flags at 50 % have a quarter of the traces in common, about."""
    keys = [f"{number:032x}" for number in range(1, 1_001)]
    flag = staged(4)
    rules = Ruleset({"flags": {"one": flag, "two": flag}})
    both = [
        all(
            rules.evaluator().resolve_boolean_value(name, False, EvaluationContext(key)).value  # noqa: FBT003
            for name in ("one", "two")
        )
        for key in keys
    ]
    assert 150 < sum(both) < 350


@pytest.mark.parametrize("stage", range(5))
@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_a_flag_is_off_before_stage_5(stage: int, key: str | None) -> None:
    """Also at 100 %: which trace it is for is not known."""
    assert not is_on(staged(stage, 100, 100, 100, 100, 100), key)


@pytest.mark.parametrize("key", [None, "", "a", "0" * 32])
def test_at_stage_5_a_flag_is_on_for_all(key: str | None) -> None:
    """Without a rule, so nothing can go wrong in it."""
    flag = staged(5)
    assert is_on(flag, key)
    assert "targeting" not in flag


def test_fractions_of_a_percent_have_finer_weights() -> None:
    """Weights are whole numbers for flagd."""
    assert staged(1, 0.25, 1, 2, 3, 100)["targeting"] == {
        "if": [{"var": "targetingKey"}, {"fractional": [["on", 25], ["off", 9975]]}]
    }


def test_going_back_never_goes_up() -> None:
    """Each step back is to a lower stage, down to 0, also after earlier steps back."""
    flag: dict[str, object] = new_flag()
    for stage in (1, 2, 4, 1, 3):
        flag = at_stage("search", flag, stage)
    seen: list[int] = []
    for _ in range(4):
        rollout = rollout_of(flag)
        assert rollout is not None
        flag = at_stage("search", flag, rollout.stage_before)
        seen.append(rollout.stage_before)
    assert seen == [1, 0, 0, 0]


def test_the_history_is_bounded_and_only_of_changes() -> None:
    """The last 20 changes; the same stage again does not count."""
    flag: dict[str, object] = new_flag()
    for number in range(50):
        flag = at_stage("search", flag, number % 5)
        flag = at_stage("search", flag, number % 5)
    rollout = rollout_of(flag)
    assert rollout is not None
    assert [step.stage for step in rollout.history] == [number % 5 for number in range(30, 50)]
    assert all(step.time.endswith("Z") for step in rollout.history)


def test_percentages_stay_with_the_flag() -> None:
    """Until others are given."""
    flag = at_stage("search", new_flag(), 1, (2.0, 3.0, 4.0, 5.5, 100.0))
    flag = at_stage("search", flag, 4)
    assert rollout_of(flag) == Rollout(4, (2.0, 3.0, 4.0, 5.5, 100.0), rollout_of(flag).history)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "values",
    [[], [1, 2, 3, 100], [1, 10, 5, 50, 100], [1, 2, 3, 4, 99], [-1, 2, 3, 4, 100],
     [1, 2, 3, 101, 100], [float("nan"), 1, 2, 3, 100], [0.001, 1, 2, 3, 100],
     [float("inf")] * 5],
)  # fmt: skip
def test_wrong_percentages(values: list[float]) -> None:
    """They are named, with the way out."""
    with pytest.raises(ConfigError, match=r"(five stages. Name five|decimal places. Use at most)"):
        checked_percentages(values)


@pytest.mark.parametrize(
    "metadata",
    [
        {}, {"otel_ext.stage": True}, {"otel_ext.stage": 6}, {"otel_ext.stage": -1},
        {"otel_ext.stage": "1"}, {"otel_ext.stage": 1.0},
        {"otel_ext.stage": 1, "otel_ext.percentages": "a,b"},
        {"otel_ext.stage": 1, "otel_ext.percentages": "9,8,7,6,5"},
    ],
)  # fmt: skip
def test_metadata_that_are_not_a_rollout(metadata: dict[str, Any]) -> None:
    """They count as none, and do not raise."""
    assert rollout_of({"metadata": metadata}) is None


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats()))
def test_any_history_is_read(history: object) -> None:
    """A history that was changed by hand is read as far as it is one."""
    found = rollout_of({"metadata": {"otel_ext.stage": 1, "otel_ext.history": history}})
    assert found is not None
    assert all(0 <= step.stage <= 5 for step in found.history)


def test_a_history_is_read() -> None:
    """Stage and time of each change."""
    metadata = {"otel_ext.stage": 1, "otel_ext.history": "0@yesterday 9@never x 1@today"}
    found = rollout_of({"metadata": metadata})
    assert found is not None
    assert found.history == (Step(0, "yesterday"), Step(1, "today"))


def test_variants_may_have_other_names_and_values() -> None:
    """`on` and `off` of any type, or one that is true and one that is false."""
    texts = {"on": "new", "off": "old", "other": "x"}
    assert sides_of("search", {"variants": texts}) == ("on", "off")
    assert sides_of("search", {"variants": {"neu": True, "alt": False}}) == ("neu", "alt")
    with pytest.raises(ConfigError, match="'search' cannot have stages: its variants are a, b"):
        sides_of("search", {"variants": {"a": 1, "b": 2}})


def test_rules_of_ones_own_are_not_replaced() -> None:
    """They would be lost; those of an earlier stage are ours."""
    flag = {**new_flag(), "targeting": {"if": [{"==": [{"var": "plan"}, "free"]}, "on", "off"]}}
    with pytest.raises(ConfigError, match="'search' has rules of its own"):
        at_stage("search", flag, 1)
    assert at_stage("search", staged(2), 1)["targeting"]


def test_other_metadata_stay() -> None:
    """Only ours change."""
    flag = {**new_flag(), "metadata": {"owner": "team-a"}, "note": [1]}
    changed = at_stage("search", flag, 1)
    assert changed["note"] == [1]
    assert changed["metadata"]["owner"] == "team-a"  # type: ignore[index]
    assert flag["metadata"] == {"owner": "team-a"}
