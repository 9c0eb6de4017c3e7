"""The configuration in force, and the one setting that changes while a program runs.

Values are replaced whole, never changed, so readers on other threads need no
lock; nothing here can block a fork.
"""

from __future__ import annotations

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


class _State:
    """What is in force; one instance for the process."""

    __slots__ = ("compat", "config", "switched")

    def __init__(self) -> None:
        self.config: Config | None = None
        self.compat = False
        self.switched: bool | None = None


_state: Final = _State()


def get_config() -> Config:
    """Return the configuration in force.

    The first call loads it from environment and file, unless `set_config` (or
    `otel_ext.configure`, which calls it) came before.

    Raises:
        ConfigError: It is loaded by this call, the setting `strict` is on, and something is wrong.
        MissingExtraError: The same, for a YAML file without PyYAML.
    """
    config = _state.config
    return config if config is not None else set_config(load_leniently())


def set_config(config: Config) -> Config:
    """Put `config` in force and return it.

    A compat mode that the program switched before by `set_compat_mode` stays,
    unless `config` has another one from code.

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
    """Switch compat mode for the whole process, from the next record on.

    Args:
        enabled: Whether lines carry the timestamp at top level too.

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
    """Tell whether compat mode is on now; cheap enough for each record.

    Off until a configuration is in force or `set_compat_mode` was called; it
    loads nothing, since it is asked while spans start and end.
    """
    return _state.compat


is_compat: Final = cast("Callable[[], bool]", partial(getattr, _state, "compat"))
"""The same as `compat_mode`, without a frame of Python's: it is asked for each record."""


def reset_config() -> None:
    """Forget the configuration in force and the switch, as in a new process; for tests."""
    _state.config = None
    _state.compat = False
    _state.switched = None
