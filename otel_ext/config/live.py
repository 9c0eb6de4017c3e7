"""Holds the active configuration, and compat mode, which can change while a program runs.

Values are replaced as a whole, never changed in place, so other threads read them
without a lock, and a fork finds no lock held.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from otel_ext.config.messages import Source
from otel_ext.config.precedence import check_value, load_leniently
from otel_ext.config.sections import Config, setting_named

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "compat_mode",
    "get_config",
    "is_compat",
    "reset_config",
    "set_compat_mode",
    "set_config",
]

_BY_CALL: Final = Source("code", "set_compat_mode()")


@dataclass(slots=True)
class _State:
    """The active configuration; one instance for the process."""

    config: Config | None = None
    compat: bool = False
    switched: bool | None = None


_state: Final = _State()


def get_config() -> Config:
    """Return the active configuration.

    The first call loads it from environment and file, unless `set_config` (or
    `otel_ext.configure`, which calls it) was called before.

    Raises:
        ConfigError: This call loads it, a value is wrong, and the setting `strict` is on.
        MissingExtraError: The same, for a YAML file without PyYAML.
    """
    config = _state.config
    return config if config is not None else set_config(load_leniently())


def set_config(config: Config) -> Config:
    """Make `config` the active configuration, and return it.

    A compat mode that the program has set by `set_compat_mode` stays, unless
    `config` has one that was set in code too.

    >>> set_config(Config()).output.compat_mode
    False
    >>> reset_config()
    """
    switched = _state.switched
    if switched is not None and config.source_of("compat-mode").layer != "code":
        config = config.with_values({"compat-mode": (switched, _BY_CALL)})
    _state.config = config
    _state.compat = config.output.compat_mode
    return config


def set_compat_mode(enabled: bool) -> None:  # noqa: FBT001 - a switch is its one argument
    """Switch compat mode on or off in the whole process, from the next record on.

    Args:
        enabled: Whether each line has the timestamp at the top level too.

    Raises:
        ConfigError: `enabled` is neither true nor false.

    >>> set_compat_mode(True)
    >>> compat_mode(), get_config().output.compat_mode
    (True, True)
    >>> reset_config()
    """
    value = bool(check_value(setting_named("compat-mode"), enabled, _BY_CALL))
    _state.switched = value
    _state.compat = value
    if _state.config is not None:
        _state.config = _state.config.with_values({"compat-mode": (value, _BY_CALL)})


def compat_mode() -> bool:
    """Return whether compat mode is on now; cheap enough to be called for each record.

    It is off until a configuration is active or `set_compat_mode` was called. This
    loads no configuration, since it runs while spans start and end.
    """
    return _state.compat


is_compat: Final = cast("Callable[[], bool]", partial(getattr, _state, "compat"))
"""The same as `compat_mode` without a Python frame, for the call that each record makes."""


def reset_config() -> None:
    """Forget the active configuration and the switch, as in a new process; for tests."""
    _state.config = None
    _state.compat = False
    _state.switched = None
