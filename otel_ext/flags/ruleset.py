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
        self._flags = {
            name: {key: value for key, value in flag.items() if key in _KNOWN}
            for name, flag in flags.items()
        }
        found = {name: rollout_of(flag) for name, flag in flags.items()}
        self.rollouts: Mapping[str, Rollout] = {
            name: rollout for name, rollout in found.items() if rollout is not None
        }
        self.enforced: Mapping[str, tuple[str, object]] = dict(_enforced(flags, self.rollouts))
        shared = {key: document[key] for key in ("metadata", "$evaluators") if key in document}
        self._text = json.dumps({**shared, "flags": self._flags})
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
    except ValueError as error:
        hint = "A flag file is JSON in flagd's format"
        raise ConfigError(f"{path}: {error}", hint=hint) from error


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
