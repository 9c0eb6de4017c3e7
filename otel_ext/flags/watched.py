"""A flag file that is read again when it changes; a broken one leaves the last good flags."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from otel_ext.errors import ConfigError
from otel_ext.flags.document import read_file, state_of
from otel_ext.flags.ruleset import read_ruleset
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.flags.document import FileState
    from otel_ext.flags.ruleset import Ruleset

__all__ = ["Change", "WatchedFile"]

Change: TypeAlias = Literal["ready", "changed", "stale"]
"""What a check found: the file is good again, has other flags, or is broken."""

# Within it two changes may leave the same time in the file system.
_COARSE_NS: Final = 100_000_000


class WatchedFile:
    """The flags of a file, as they were when it was last good.

    Threads may evaluate `rules` during a check: they are replaced as a whole.

    Args:
        path: The flag file.

    Attributes:
        rules: The flags; None until the file was good once.
        problem: What is wrong with the file now; empty if nothing is.
        enforced: Variant and value of each flag that is enforced, or was since and has neither
            a lower stage nor the state DISABLED.

    >>> from pathlib import Path
    >>> file = WatchedFile(Path("missing.json"))
    >>> file.problem
    ''
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rules: Ruleset | None = None
        self.problem = ""
        self.enforced: dict[str, tuple[str, object]] = {}
        self._state: FileState | None = None
        self._data: bytes | None = None
        self._replaced: dict[str, str] = {}
        self._wrong: dict[str, str] = {}
        self._health = HealthCell(f"feature flags in {path.name}", "not read yet")

    def check(self, notify: Callable[[Change, list[str]], object] | None = None) -> None:
        """Read the file if it has changed; never raises.

        Args:
            notify: Called with what has changed, and the names of the flags that did.
        """
        try:
            change = self._read()
        except Exception as error:  # noqa: BLE001 - a file must not end the job that reads it
            change = self._broken(str(error) or type(error).__name__)
        if change is not None and notify is not None:
            notify(*change)

    def enforced_side(self, name: str, value_type: type) -> tuple[str, object] | None:
        """Return variant and value of a flag that is enforced; None if it is not.

        Args:
            name: The flag.
            value_type: The type that the value has to have; `object` for an object or a list.
        """
        found = self.enforced.get(name)
        if found is None:
            return None
        if value_type is object:
            return found if isinstance(found[1], dict | list) else None
        # A whole number stands for a float, but true does not stand for 1.
        allowed = {int, float} if value_type is float else {value_type}
        return found if type(found[1]) in allowed else None

    def note_replaced(self, name: str, why: str) -> None:
        """Note that an enforced flag is on whatever its evaluation says; reported once per file.

        Args:
            name: The flag, which is in `enforced`.
            why: Why it failed, or what it says.
        """
        if name not in self._replaced:
            # Replaced, not changed: another thread may read it.
            self._replaced = {**self._replaced, name: why}
            report_problem(f"the enforced flag {name!r} stays on", why)
            self._update_health()

    def _read(self) -> tuple[Change, list[str]] | None:
        try:
            state = state_of(self.path.stat())
        except (OSError, ValueError):
            state = None  # reading it says why
        if state is not None and state == self._state:
            return None
        self._state = None  # a file that comes back as it was is read again, too
        content = read_file(self.path)
        if content.state is None and self.rules is not None:
            return None  # it is being written: the next check reads it
        if content.state and abs(time_ns() - content.state.mtime_ns) > _COARSE_NS:
            self._state = content.state
        if content.data == self._data and not self.problem:
            return None
        try:
            rules = read_ruleset(self.path, content.data)
        except ConfigError:
            self._data = None
            raise
        self._data = content.data
        return self._replace(rules)

    def _replace(self, rules: Ruleset) -> tuple[Change, list[str]] | None:
        names = rules.changed_from(self.rules)
        was_broken = bool(self.problem) or self.rules is None
        if self.rules is not None:
            rules.follow(self.rules)
        # One that is gone from the file, or whose stages are not valid, stays enforced.
        kept = {name: on for name, on in self.enforced.items() if not rules.has_ended(name)}
        self.enforced = {**kept, **rules.enforced}
        self.rules = rules
        self.problem = ""
        self._replaced = {
            name: why for name, why in self._replaced.items() if name in kept and name not in rules
        }
        for name, why in rules.wrong.items():
            if self._wrong.get(name) != why:
                report_problem(f"the stages of the flag {name!r} are not valid", why)
        self._wrong = rules.wrong
        self._update_health()
        if was_broken:
            return "ready", names
        return ("changed", names) if names else None

    def _broken(self, problem: str) -> tuple[Change, list[str]] | None:
        if problem == self.problem:
            return None
        was_good = not self.problem
        self.problem = problem
        kept = "the last good flags stay" if self.rules else "there are no flags"
        report_problem(f"feature flags: {kept}", problem)
        self._update_health()
        return ("stale", []) if was_good and self.rules else None

    def _update_health(self) -> None:
        texts = [self.problem] if self.problem else []
        texts += [
            f"the stages of the flag {name!r} are not valid: {why}"
            for name, why in self._wrong.items()
        ]
        texts += [
            f"the enforced flag {name!r} stays on: {why}" for name, why in self._replaced.items()
        ]
        if texts and self.rules is None:
            self._health.failed("; ".join(texts))
        elif texts:
            self._health.degraded("; ".join(texts))
        else:
            self._health.healthy(str(self.path))
