"""Any sequence of updates and resets does to live settings what it does to a dict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hypothesis import given
from hypothesis import strategies as st

from otel_ext.errors import ConfigError
from otel_ext.services import Settings
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable


def _not_thirteen(value: int) -> None:
    if value == 13:
        raise ValueError("thirteen")


@dataclass(frozen=True)
class Inner:
    """A group with a rule across its settings."""

    low: int = field(default=0, metadata={"validate": _not_thirteen})
    high: int = 100

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low above high")


@dataclass(frozen=True)
class Outer:
    """Settings with a group."""

    text: str = "a"
    mode: Literal["x", "y"] = "x"
    inner: Inner = field(default_factory=Inner)


INITIAL = {"text": "a", "mode": "x", "inner.low": 0, "inner.high": 100}
IS_ALLOWED: dict[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "mode": lambda value: value in ("x", "y"),
    "inner.low": lambda value: type(value) is int and value != 13,
    "inner.high": lambda value: type(value) is int,
}
values = st.one_of(
    st.integers(-5, 200), st.just(13), st.sampled_from(["x", "y", "z"]), st.none(), st.booleans()
)
updates = st.dictionaries(st.sampled_from([*INITIAL, "nothing", "inner"]), values, max_size=3)
steps = st.one_of(
    updates, st.lists(st.sampled_from([*INITIAL, "inner", "nothing"]), max_size=2).map(tuple)
)


def model_of(
    model: dict[str, object], step: dict[str, object] | tuple[str, ...]
) -> dict[str, object] | None:
    """Return the model after a step; None if it is refused."""
    after = dict(model)
    if isinstance(step, dict):
        if not all(name in IS_ALLOWED and IS_ALLOWED[name](step[name]) for name in step):
            return None
        after.update(step)
    else:
        if "nothing" in step:
            return None
        after |= {
            name: value
            for name, value in INITIAL.items()
            if not step or name in step or ("inner" in step and name.startswith("inner."))
        }
    return after if after["inner.low"] <= after["inner.high"] else None  # type: ignore[operator]


@examples(2)
@given(st.lists(steps, max_size=12))
def test_updates_and_resets(sequence: list[dict[str, object] | tuple[str, ...]]) -> None:
    """Each applies as a whole or raises ConfigError and changes nothing."""
    settings = Settings(Outer())
    model: dict[str, object] = dict(INITIAL)
    for step in sequence:
        expected = model_of(model, step)
        before = settings.get()
        try:
            if isinstance(step, dict):
                settings.update(step)
            else:
                settings.reset(*step)
        except ConfigError:
            assert expected is None
            assert settings.get() is before
        else:
            assert expected is not None
            model = expected
        assert {name: settings.get(name) for name in settings.names} == model
