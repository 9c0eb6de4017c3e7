"""Kinds of settings: they parse native values and text, check ranges, and round-trip."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.settings.kinds import (
    Boolean,
    Choice,
    Duration,
    Folder,
    Integer,
    Kind,
    Size,
    Thresholds,
)

SIZE = Size(1024, 2**40, zero="for no limit")
DURATION = Duration(0.01, 86_400, zero="for never")
KINDS: dict[str, Kind] = {
    "boolean": Boolean(),
    "choice": Choice(("auto", "on", "off")),
    "integer": Integer(1, 100),
    "size": SIZE,
    "duration": DURATION,
    "folder": Folder(),
    "thresholds": Thresholds(DURATION),
}


class Hostile:
    """A value whose every method raises."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    "value",
    [None, object(), [], b"1", 1j, "\0", "", math.nan, -1, {1: 1}, Hostile()],
    ids=lambda value: type(value).__name__,
)
def test_unsuitable_values_are_refused(kind: Kind, value: object) -> None:
    """A value that fits no kind raises ValueError or TypeError; empty text may be allowed."""
    if isinstance(kind, Thresholds) and isinstance(value, str) and not value:
        assert kind.parse(value) == {}
        return
    with pytest.raises((ValueError, TypeError)):
        kind.parse(value)


@pytest.mark.parametrize(
    "kind", [KINDS["integer"], SIZE, DURATION], ids=["integer", "size", "time"]
)
def test_booleans_are_not_numbers(kind: Kind) -> None:
    """True is not accepted as 1."""
    with pytest.raises(TypeError):
        kind.parse(True)  # noqa: FBT003 - the value under test


@pytest.mark.parametrize("number", [0, 1, 2.0])
def test_numbers_are_not_booleans(number: float) -> None:
    """A number in a file or in code is not accepted as true or false."""
    with pytest.raises(ValueError, match="true"):
        Boolean().parse(number)


@pytest.mark.parametrize("text", ["true", "TRUE", " Yes ", "on", "1"])
def test_words_for_true(text: str) -> None:
    """The words for true are accepted in upper and lower case."""
    assert Boolean().parse(text) is True


@pytest.mark.parametrize(("native", "name"), [(True, "on"), (False, "off")])
def test_a_boolean_means_on_or_off(native: bool, name: str) -> None:
    """YAML parses a bare `on` as true, so a choice converts it back."""
    assert KINDS["choice"].parse(native) == name


def test_a_boolean_is_refused_by_a_choice_without_on() -> None:
    """True is refused if `on` is not one of the names."""
    with pytest.raises(ValueError, match="names"):
        Choice(("always", "never")).parse(True)  # noqa: FBT003 - the value under test


@pytest.mark.parametrize("value", [0, "0", 0.0, "0s"])
def test_zero_is_allowed_if_it_has_a_meaning(value: float | str) -> None:
    """Zero is outside the range, but allowed if the kind defines its meaning."""
    assert DURATION.parse(value) == 0
    with pytest.raises(ValueError, match="range"):
        Duration(0.01, 10).parse(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400, 86_401, "2d"])
def test_durations_out_of_range(value: float | str) -> None:
    """Values outside the range are refused, also ones too large for a float."""
    with pytest.raises(ValueError, match="range"):
        DURATION.parse(value)


@given(st.integers(1024, 2**40))
def test_sizes_round_trip(size: int) -> None:
    """A formatted size is parsed as the same size."""
    assert SIZE.parse(SIZE.format(size)) == size


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20).filter(
            lambda text: "," not in text and text == text.strip()
        ),
        st.floats(0.01, 86_400),
        max_size=5,
    )
)
def test_thresholds_round_trip(thresholds: dict[str, float]) -> None:
    """Formatted patterns and durations are parsed as the same ones."""
    kind = Thresholds(DURATION)
    parsed = kind.parse(kind.format(thresholds))
    assert list(parsed.items()) == list(thresholds.items())


def test_thresholds_keep_an_equals_sign_in_a_pattern() -> None:
    """The last `=` separates, so a pattern can contain one."""
    assert Thresholds(DURATION).parse("q=?*=2s") == {"q=?*": 2.0}


@pytest.mark.parametrize("text", ["db.*", "=5s", "db.*=", "db.*=soon", "a=1,b"])
def test_incomplete_thresholds_are_refused(text: str) -> None:
    """A pattern without duration, or a duration without pattern, is an error."""
    with pytest.raises(ValueError, match="not a|pattern"):
        Thresholds(DURATION).parse(text)


def test_thresholds_are_read_only() -> None:
    """The parsed mapping cannot be changed, not even by a change of the original."""
    patterns = {"db.*": 5}
    parsed = Thresholds(DURATION).parse(patterns)
    patterns["db.*"] = 1
    assert parsed == {"db.*": 5.0}
    assert not hasattr(parsed, "__setitem__")


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the home folder, from text and from a Path."""
    monkeypatch.setenv("HOME", "/home/someone")
    assert Folder().parse("~/traces") == Path("/home/someone/traces")
    assert Folder().parse(Path("~/traces")) == Path("/home/someone/traces")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_kind_describes_what_is_allowed(kind: Kind) -> None:
    """Every kind has a text for messages and documentation."""
    assert len(kind.allowed) > 10
