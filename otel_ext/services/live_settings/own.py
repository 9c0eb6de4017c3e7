"""`own_settings`: those settings of otel-ext itself that can change while a program runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_ext.config.live import compat_mode, set_compat_mode
from otel_ext.config.sections import BY_NAME, setting_named
from otel_ext.errors import ConfigError
from otel_ext.services.live_settings.live import Settings

if TYPE_CHECKING:
    from otel_ext.services.live_settings.change import Change

__all__ = ["OwnSettings", "own_settings"]


@dataclass(frozen=True)
class OwnSettings:
    """The settings of otel-ext that can change while a program runs.

    Attributes:
        compat_mode: Whether each line has the timestamp at the top level too.

    >>> OwnSettings().compat_mode
    False
    """

    compat_mode: bool = field(default=False, metadata={"kind": setting_named("compat-mode").kind})


class _Own(Settings[OwnSettings]):
    """The settings that `otel_ext.config` holds: a call of `set_compat_mode` shows here, too."""

    def _read(self) -> OwnSettings:
        current, is_on = self._current, compat_mode()
        if current.compat_mode is not is_on:
            current = self._current = OwnSettings(is_on)
        return current

    def _swap(self, old: OwnSettings, new: OwnSettings, change: Change) -> bool:
        with self._lock:
            if self._read() is not old:
                return False
            set_compat_mode(new.compat_mode)
            self._current = new
            self._changes.add(change)
        return True

    def _explain(self, name: str) -> ConfigError | None:
        setting = BY_NAME.get(name.replace("_", "-"))
        if setting is None:
            return None
        if setting.argument == "compat_mode":
            return ConfigError(f"{name!r} is not how it is called here", hint="Use 'compat_mode'.")
        return ConfigError(
            f"{setting.argument} cannot change while the program runs: what uses it reads it once,"
            " at its start",
            hint=f"Set it before: configure({setting.argument}=...), or {setting.env} in the"
            " environment.",
            context={"setting": setting.argument},
        )


_made: Final[dict[str, _Own]] = {}


def own_settings() -> Settings[OwnSettings]:
    """Return those settings of otel-ext itself that can change while a program runs.

    They act from the next record on. `reset` returns to the values at the first call of this.

    Raises:
        ConfigError: An update or a read names a setting that cannot change; it has the way out.

    >>> own_settings().update(compat_mode=True)
    OwnSettings(compat_mode=True)
    >>> own_settings().update(ring_size="8 MiB")
    Traceback (most recent call last):
    otel_ext.errors.ConfigError: ring_size cannot change while the program runs: ...
    >>> own_settings().reset()
    OwnSettings(compat_mode=False)
    """
    made = _made.get("own")
    return made or _made.setdefault("own", _Own(OwnSettings(compat_mode()), name="otel-ext"))
