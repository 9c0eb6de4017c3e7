"""Changes the stages of flags in a flag file, which is replaced as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.config.messages import did_you_mean
from otel_ext.errors import ConfigError
from otel_ext.flags.arguments import checked_flag, flag_path
from otel_ext.flags.document import flags_of, parse, read_file, write_file
from otel_ext.flags.locking import change_lock
from otel_ext.flags.stages import (
    ENFORCED_STAGE,
    Rollout,
    at_stage,
    checked_percentages,
    new_flag,
    rollout_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otel_ext.flags.document import Document

__all__ = ["Changed", "Listed", "enforce", "list_rollouts", "roll_back", "set_stage"]


class Changed(NamedTuple):
    """A change of a flag's stage.

    Attributes:
        name: The flag.
        before: Its rollout before; None if it had none.
        after: Its rollout now.
        enabled: Whether its state in the file is ENABLED; the stage has no effect if not.
    """

    name: str
    before: Rollout | None
    after: Rollout
    enabled: bool = True


class Listed(NamedTuple):
    """A flag of a flag file.

    Attributes:
        name: The flag.
        enabled: Whether its state is ENABLED.
        rollout: Its rollout; None if it has no stages.
    """

    name: str
    enabled: bool
    rollout: Rollout | None


def list_rollouts(path: str | os.PathLike[str]) -> list[Listed]:
    """Return the flags of a flag file, in its order.

    Args:
        path: The file.

    Raises:
        ConfigError: The file is missing, broken, or cannot be read.
    """
    file = flag_path(path)
    document = parse(file, read_file(file).data)
    return [
        Listed(name, flag.get("state") == "ENABLED", rollout_of(flag))
        for name, flag in flags_of(document).items()
    ]


def set_stage(
    path: str | os.PathLike[str],
    flag: str,
    stage: int,
    *,
    percentages: Sequence[float] | None = None,
    create: bool = False,
) -> Changed:
    """Put a flag to a stage of its rollout, from whichever it is at.

    Changes at the same time, also by other programs, wait for each other.

    Args:
        path: The flag file.
        flag: The flag's name.
        stage: 0 (off) to 5 (on for all, enforced).
        percentages: The percentage of stages 1 to 5; by default they stay, and are
            1, 10, 25, 50 and 100 for a flag without stages.
        create: Whether to make a boolean flag, and the file, if missing.

    Raises:
        ConfigError: An argument is wrong, there is no such flag, the flag has rules of its own,
            or the file is broken, cannot be written or was changed meanwhile.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     changed = set_stage(f"{folder}/flags.json", "new-search", 2, create=True)
    >>> changed.after.percentage
    10.0
    """
    if type(stage) is not int or not 0 <= stage <= ENFORCED_STAGE:
        raise ConfigError(f"stage={stage!r} is not a stage", hint=f"Use 0 to {ENFORCED_STAGE}")
    checked = None if percentages is None else checked_percentages(percentages)

    def change(found: Document) -> Document:
        return {**at_stage(flag, found, stage, checked), "state": "ENABLED"}

    return _edit(flag_path(path), checked_flag(flag), change, create=create)


def enforce(path: str | os.PathLike[str], flag: str) -> Changed:
    """Put a flag to stage 5: it is on for all, also when it cannot be evaluated.

    Args:
        path: The flag file.
        flag: The flag's name.

    Raises:
        ConfigError: As for `set_stage`.
    """
    return set_stage(path, flag, ENFORCED_STAGE)


def roll_back(path: str | os.PathLike[str], flag: str, *, to: int | None = None) -> Changed:
    """Put a flag back to the stage before, so that fewer traces are in.

    Rolled back again, it goes back further, and from the first stage to 0.

    Args:
        path: The flag file.
        flag: The flag's name.
        to: The stage to go back to, such as 0; by default the last one below the stage now.

    Raises:
        ConfigError: As for `set_stage`, or the flag has no stages, or a lower one than `to`.
    """

    def change(found: Document) -> Document:
        rollout = rollout_of(found)
        if rollout is None:
            hint = f"Give it one: otel-ext flags stage {path} {flag} 0"
            raise ConfigError(f"the flag {flag!r} has no stage to go back from", hint=hint)
        target = rollout.stage_before if to is None else to
        if type(target) is not int or not 0 <= target <= rollout.stage:
            message = f"the flag {flag!r} cannot go back from stage {rollout.stage} to {target!r}"
            raise ConfigError(message, hint=f"Use 0 to {rollout.stage}")
        return at_stage(flag, found, target)

    return _edit(flag_path(path), checked_flag(flag), change)


def _edit(
    path: Path, name: str, change: Callable[[Document], Document], *, create: bool = False
) -> Changed:
    """Change one flag of a file."""
    with change_lock(path):
        read = None if create and not path.exists() else read_file(path)
        document: Document = {"flags": {}} if read is None else parse(path, read.data)
        flags = flags_of(document)
        found = flags.get(name)
        if found is None:
            if not create:
                hint = did_you_mean(name, flags) or "List them: otel-ext flags list FILE"
                raise ConfigError(f"{path} has no flag {name!r}", hint=hint)
            if not name:
                raise ConfigError("a flag needs a name", hint="Name it after what it switches on")
            found = new_flag()
        flags[name] = change(found)
        write_file(path, document, read)
    after = rollout_of(flags[name])
    is_enabled = flags[name].get("state") == "ENABLED"
    return Changed(name, rollout_of(found), after or Rollout(), is_enabled)
