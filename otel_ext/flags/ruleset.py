"""The flags of one version of a flag file, evaluated by flagd's own evaluator."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Final, cast

from openfeature.contrib.tools.flagd.core import FlagdCore

from otel_ext.errors import ConfigError
from otel_ext.flags.document import flags_of, parse
from otel_ext.flags.stages import read_rollout, sides_of
from otel_ext.runtime.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from otel_ext.flags.document import Document
    from otel_ext.flags.stages import Rollout

__all__ = ["Ruleset", "read_ruleset"]

# The evaluator refuses a flag with fields that it does not know, such as a comment.
_KNOWN: Final = ("state", "variants", "defaultVariant", "targeting", "metadata")
# How many references a file may have, those in shared rules counted for each use; and how many
# rules may be within each other. A rule that refers to itself would have no end.
_MOST_REFERENCES: Final = 10_000
_DEEPEST: Final = 10
_RULE: Final = ("variants", "defaultVariant", "targeting")
_PERIODS: Final = count(1)


class Ruleset:
    """Flags that do not change.

    Args:
        document: A checked flag file.

    Attributes:
        rollouts: The rollout of each flag that has stages.
        enforced: Variant and value of each flag that is at stage 5.
        wrong: What is wrong with the stages of a flag, by its name.
        periods: A number for each flag at stages 0 to 4 that is ENABLED. A version of the
            file in which the flag goes on from here keeps it; see `follow`.

    Raises:
        ValueError: The evaluator does not take the document.

    >>> flag = {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}
    >>> rules = Ruleset({"flags": {"new-search": flag}})
    >>> rules.evaluator().resolve_boolean_value("new-search", False).value
    True
    """

    def __init__(self, document: Document) -> None:
        flags = flags_of(document)
        shared = _Shared(cast("Document", document.get("$evaluators", {})))
        self._flags = {
            name: {key: shared.put_into(flag[key]) for key in _KNOWN if key in flag}
            for name, flag in flags.items()
        }
        self.rollouts: Mapping[str, Rollout]
        self.enforced: Mapping[str, tuple[str, object]]
        self.rollouts, self.enforced, self.wrong = _read_stages(flags)
        self.periods: Mapping[str, int] = {
            name: next(_PERIODS)
            for name, rollout in self.rollouts.items()
            if flags[name]["state"] == "ENABLED" and not rollout.is_enforced
        }
        self._text = json.dumps({"metadata": document.get("metadata", {}), "flags": self._flags})
        self._evaluator: FlagdCore | None = None
        self.evaluator()
        after_fork_in_child(self._reset)

    def __contains__(self, name: str) -> bool:
        return name in self._flags

    def evaluator(self) -> FlagdCore:
        """Return the evaluator; the first call in a forked child makes it again."""
        found = self._evaluator
        if found is None:
            found = FlagdCore()
            try:
                found.set_flags(self._text)
            except Exception as error:
                text = getattr(error, "error_message", None) or str(error) or type(error).__name__
                raise ValueError(text) from error
            self._evaluator = found
        return found

    def changed_from(self, other: Ruleset | None) -> list[str]:
        """Return the names of the flags that are new, gone or different, by name."""
        before = {} if other is None else other._flags  # noqa: SLF001 - of the same class
        names = before.keys() | self._flags.keys()
        return sorted(name for name in names if before.get(name) != self._flags.get(name))

    def follow(self, before: Ruleset) -> None:
        """Go on with the periods of the version before, except of flags that went back.

        Call it before other threads use these flags. A flag goes back if its stage or its
        percentage is lower, or its rule was changed without a higher percentage.
        """
        kept = {
            name: number
            for name, number in before.periods.items()
            if name in self.periods and not self._went_back(name, before)
        }
        self.periods = {**self.periods, **kept}

    def has_ended(self, name: str) -> bool:
        """Return whether these flags end an enforcement: by a lower stage, or DISABLED."""
        flag = self._flags.get(name)
        if flag is None:
            return False
        rollout = self.rollouts.get(name)
        is_lower = rollout is not None and not rollout.is_enforced
        return flag["state"] != "ENABLED" or is_lower

    def decides(self, name: str, variant: str | None) -> bool:
        """Return whether a variant is these flags' word, also for a flag enforced before."""
        return self.has_ended(name) or (bool(variant) and name in self.enforced)

    def _went_back(self, name: str, before: Ruleset) -> bool:
        old, new = before.rollouts[name], self.rollouts[name]
        if new.stage < old.stage or new.percentage < old.percentage:
            return True
        if new.percentage > old.percentage:
            return False
        flag, known = self._flags[name], before._flags[name]
        return any(flag.get(key) != known.get(key) for key in _RULE)

    def _reset(self) -> None:
        # Another thread may have held the evaluator's lock at the fork.
        self._evaluator = None


def read_ruleset(path: Path, data: bytes) -> Ruleset:
    """Return the flags in the bytes of a flag file.

    Raises:
        ConfigError: They are not a flag file; with the line and column, or the flag.
    """
    document = parse(path, data)
    try:
        return Ruleset(document)
    except (ValueError, RecursionError) as error:
        hint = "A flag file is JSON in flagd's format"
        raise ConfigError(f"{path}: {error}", hint=hint) from error


class _Shared:
    """Puts the shared rules of a document in the places that refer to them.

    The evaluator would take a shared rule as a template of `re.sub`, and so refuse or change
    one with a backslash, also as JSON writes other letters than English ones.
    """

    def __init__(self, rules: Mapping[str, object]) -> None:
        self._rules = rules
        self._left = _MOST_REFERENCES

    def put_into(self, value: object, depth: int = 0) -> object:
        """Return a value of JSON with the shared rules in it.

        Raises:
            ValueError: There are too many, or they refer to each other.
        """
        if isinstance(value, list):
            return [self.put_into(one, depth) for one in cast("list[object]", value)]
        if not isinstance(value, dict):
            return value
        fields = cast("Document", value)
        name = fields.get("$ref")
        if len(fields) == 1 and isinstance(name, str) and name in self._rules:
            self._left -= 1
            if self._left < 0 or depth == _DEEPEST:
                raise ValueError(f"too many '$ref', or rules that refer to each other: {name!r}")
            return self.put_into(self._rules[name], depth + 1)
        return {key: self.put_into(one, depth) for key, one in fields.items()}


def _read_stages(
    flags: Mapping[str, Document],
) -> tuple[dict[str, Rollout], dict[str, tuple[str, object]], dict[str, str]]:
    """Return the rollouts, the enforced flags, and what is wrong, by the names of flags."""
    rollouts: dict[str, Rollout] = {}
    enforced: dict[str, tuple[str, object]] = {}
    wrong: dict[str, str] = {}
    for name, flag in flags.items():
        try:
            rollout = read_rollout(flag)
            if rollout is None:
                continue
            rollouts[name] = rollout
            if rollout.is_enforced and flag["state"] == "ENABLED":
                new, _ = sides_of(name, flag)
                enforced[name] = (new, cast("Document", flag["variants"])[new])
        except ConfigError as error:  # the file was changed by hand
            wrong[name] = str(error)
    return rollouts, enforced, wrong
