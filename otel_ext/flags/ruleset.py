"""The flags of one version of a flag file, evaluated by flagd's own evaluator."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from openfeature.contrib.tools.flagd.core import FlagdCore

from otel_ext.errors import ConfigError
from otel_ext.flags.document import flags_of, parse
from otel_ext.flags.stages import rollout_of, sides_of
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


class Ruleset:
    """Flags that do not change.

    Args:
        document: A checked flag file.

    Attributes:
        rollouts: The rollout of each flag that has stages.
        enforced: Variant and value of each flag that is at stage 5.

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
        found = {name: rollout_of(flag) for name, flag in flags.items()}
        self.rollouts: Mapping[str, Rollout] = {
            name: rollout for name, rollout in found.items() if rollout is not None
        }
        self.enforced: Mapping[str, tuple[str, object]] = dict(_enforced(flags, self.rollouts))
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


def _enforced(
    flags: Mapping[str, Document], rollouts: Mapping[str, Rollout]
) -> list[tuple[str, tuple[str, object]]]:
    found: list[tuple[str, tuple[str, object]]] = []
    for name, rollout in rollouts.items():
        flag = flags[name]
        if not rollout.is_enforced or flag["state"] != "ENABLED":
            continue
        with suppress(ConfigError):  # without such variants: the file was changed by hand
            new, _ = sides_of(name, flag)
            found.append((name, (new, cast("Document", flag["variants"])[new])))
    return found
