"""The five stages of a rollout, as a flag in a flag file has them.

A flag is at stage 0 (off for all), 1 to 4 (on for a percentage of the traces) or 5 (enforced:
on for all, and the old path is gone). The percentages are a `fractional` rule of flagd, which
any evaluator of flagd understands; stage, percentages and history are in the flag's metadata.

A trace's place in the rollout is a hash of the flag and the targeting key, and the traces below
the percentage are in. So a trace that is in at 10 % is in at 25 %.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.errors import ConfigError
from otel_ext.record.timestamps import format_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.flags.document import Document

__all__ = [
    "DEFAULT_PERCENTAGES",
    "ENFORCED_STAGE",
    "Rollout",
    "Step",
    "at_stage",
    "checked_percentages",
    "new_flag",
    "read_rollout",
    "rollout_of",
    "sides_of",
]

ENFORCED_STAGE: Final = 5
DEFAULT_PERCENTAGES: Final = (1.0, 10.0, 25.0, 50.0, 100.0)
"""The percentage of stages 1 to 5."""

_STAGE: Final = "otel_ext.stage"
_PERCENTAGES: Final = "otel_ext.percentages"
_HISTORY: Final = "otel_ext.history"
_MOST_STEPS: Final = 20
_ALL: Final = 100
# Weights are whole numbers: of a hundred, or of ten thousand for fractions of a percent.
_FINE: Final = 100


class Step(NamedTuple):
    """One change of a flag's stage.

    Attributes:
        stage: The stage from then on.
        time: When, in UTC as in records.
    """

    stage: int
    time: str


class Rollout(NamedTuple):
    """How far a flag is rolled out.

    Attributes:
        stage: 0 to 5.
        percentages: Those of stages 1 to 5.
        history: The last 20 changes of the stage, the oldest first.
    """

    stage: int = 0
    percentages: tuple[float, ...] = DEFAULT_PERCENTAGES
    history: tuple[Step, ...] = ()

    @property
    def percentage(self) -> float:
        """The part of the traces that are in, 0 to 100.

        >>> Rollout(stage=2).percentage
        10.0
        """
        return self.percentages[self.stage - 1] if self.stage else 0.0

    @property
    def is_enforced(self) -> bool:
        """Whether the flag is on for all, also when it cannot be evaluated."""
        return self.stage == ENFORCED_STAGE

    @property
    def stage_before(self) -> int:
        """The stage to go back to: the last one in the history below this one, else 0.

        >>> Rollout(3, history=(Step(1, ""), Step(3, ""))).stage_before
        1
        """
        earlier = (step.stage for step in reversed(self.history) if step.stage < self.stage)
        return next(earlier, 0)


def checked_percentages(values: Sequence[float]) -> tuple[float, ...]:
    """Return the percentages of stages 1 to 5.

    Raises:
        ConfigError: There are not five, one is lower than the one before, the last is not 100,
            or one has more than two decimal places.

    >>> checked_percentages([0.5, 5, 20, 50, 100])
    (0.5, 5.0, 20.0, 50.0, 100.0)
    """
    hint = "Name five from 0 to 100, none lower than the one before, the last one 100"
    try:
        found = () if isinstance(values, str | bytes) else tuple(float(one) for one in values)
    except (TypeError, ValueError, OverflowError):
        found = ()
    if not found:
        message = f"percentages={values!r} are not the percentages of five stages"
        raise ConfigError(message, hint=hint)
    shown = ",".join(f"{value:g}" for value in found)
    is_rising = list(found) == sorted(found) and all(0 <= value <= _ALL for value in found)
    if len(found) != ENFORCED_STAGE or not is_rising or found[-1] != _ALL:
        raise ConfigError(f"{shown} are not the percentages of five stages", hint=hint)
    if any(round(value, 2) != value for value in found):
        raise ConfigError(f"{shown} have too many decimal places", hint="Use at most two")
    return found


def rollout_of(flag: Document) -> Rollout | None:
    """Return the rollout in a flag's metadata; None if it has none, or one that is not valid.

    >>> rollout_of({"metadata": {"otel_ext.stage": 2}}).percentage
    10.0
    """
    try:
        return read_rollout(flag)
    except ConfigError:
        return None


def read_rollout(flag: Document) -> Rollout | None:
    """Return the rollout in a flag's metadata; None if it has none.

    Raises:
        ConfigError: The metadata are not valid.

    >>> read_rollout({"metadata": {"otel_ext.stage": "2"}})
    Traceback (most recent call last):
    otel_ext.errors.ConfigError: the metadata 'otel_ext.stage' '2' is not a stage. Use 0 to 5
    """
    metadata = cast("Document", flag.get("metadata") or {})
    if metadata.keys().isdisjoint((_STAGE, _PERCENTAGES, _HISTORY)):
        return None
    stage = metadata.get(_STAGE)
    if type(stage) is not int or not 0 <= stage <= ENFORCED_STAGE:
        message = f"the metadata {_STAGE!r} {stage!r} is not a stage"
        raise ConfigError(message, hint=f"Use 0 to {ENFORCED_STAGE}")
    text = str(metadata.get(_PERCENTAGES, ""))
    try:
        values = [float(one) for one in text.split(",")] if text else DEFAULT_PERCENTAGES
        percentages = checked_percentages(values)
    except ValueError as error:
        hint = getattr(error, "hint", "") or "Name five numbers with commas between"
        raise ConfigError(f"the metadata {_PERCENTAGES!r} {text!r} are wrong", hint=hint) from None
    steps = [word.partition("@") for word in str(metadata.get(_HISTORY, "")).split()]
    history = [Step(int(number), time) for number, _, time in steps if number in set("012345")]
    return Rollout(stage, percentages, tuple(history[-_MOST_STEPS:]))


def sides_of(name: str, flag: Document) -> tuple[str, str]:
    """Return the variants of a flag for the traces that are in, and for the others.

    They are called `on` and `off`, or are the only true and the only false one.

    Raises:
        ConfigError: The flag has no such variants.

    >>> sides_of("search", {"variants": {"new": True, "old": False}})
    ('new', 'old')
    """
    variants = cast("Document", flag.get("variants") or {})
    if {"on", "off"} <= variants.keys():
        return "on", "off"
    new = [key for key, value in variants.items() if value is True]
    old = [key for key, value in variants.items() if value is False]
    if len(new) != 1 or len(old) != 1:
        message = f"the flag {name!r} cannot have stages: its variants are {', '.join(variants)}"
        raise ConfigError(message, hint="Name two of them on and off")
    return new[0], old[0]


def new_flag() -> Document:
    """Return a boolean flag that is off.

    >>> sides_of("search", new_flag())
    ('on', 'off')
    """
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}


def at_stage(
    name: str, flag: Document, stage: int, percentages: tuple[float, ...] | None = None
) -> Document:
    """Return a copy of a flag at a stage, with the change in its history.

    Args:
        name: The flag's name, for errors.
        flag: The flag as it is.
        stage: The new stage, 0 to 5.
        percentages: Those of stages 1 to 5, checked; by default they stay.

    Raises:
        ConfigError: It has no variants for it, or rules of its own that would be lost.

    >>> flag = at_stage("search", new_flag(), 2)
    >>> flag["targeting"]["if"][1]
    {'fractional': [['on', 10], ['off', 90]]}
    """
    new, old = sides_of(name, flag)
    known = rollout_of(flag)
    if known is None and flag.get("targeting"):
        message = f"the flag {name!r} has rules of its own, which stages would replace"
        raise ConfigError(message, hint="Remove its 'targeting' first, or use another flag")
    before = known or Rollout()
    after = before._replace(stage=stage, percentages=percentages or before.percentages)
    steps = before.history
    if known is None or after.stage != before.stage:
        steps = (*steps, Step(stage, format_ns(time_ns())))
    changed = dict(flag)
    changed["defaultVariant"] = new if after.is_enforced else old
    changed.pop("targeting", None)
    if not after.is_enforced:
        changed["targeting"] = _rule(new, old, after.percentage)
    changed["metadata"] = {
        **cast("Document", flag.get("metadata") or {}),
        _STAGE: stage,
        _PERCENTAGES: ",".join(f"{value:g}" for value in after.percentages),
        _HISTORY: " ".join(f"{step.stage}@{step.time}" for step in steps[-_MOST_STEPS:]),
    }
    return changed


def _rule(new: str, old: str, percentage: float) -> Document:
    """Return the rule that a percentage of the targeting keys are in; no key, not in."""
    whole = _ALL if percentage == int(percentage) else _ALL * _FINE
    weight = round(percentage * whole / _ALL)
    share = {"fractional": [[new, weight], [old, whole - weight]]}
    return {"if": [{"var": "targetingKey"}, share]}
