"""Collects the settings that the parts declare: `SETTINGS` lists them, `Config` holds their values.

For a new setting, add a field to the class in the `settings` module of its part: parsing,
checks, error messages and documentation follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from otel_ext.config.messages import DEFAULT, Source, did_you_mean
from otel_ext.errors import ConfigError
from otel_ext.exporters.console.settings import ConsoleSettings
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.inflight.settings import InflightSettings
from otel_ext.journal.settings import JournalSettings
from otel_ext.redaction.settings import RedactionSettings
from otel_ext.settings.declarations import Setting, settings_of
from otel_ext.settings.short_repr import short_repr
from otel_ext.setup.settings import CaptureSettings, OutputSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

__all__ = ["BY_NAME", "SETTINGS", "Config", "setting_named"]


@dataclass(frozen=True)
class Config:
    """All settings, and the source of each. `Config()` holds the defaults and reads nothing.

    The fields with settings are the sections; the class of each describes it.

    Attributes:
        sources: The source of each value, by setting name; without defaults.
        file: The configuration file that was read, if any.
        warnings: Mistakes that are not errors, one sentence each.

    >>> config = Config()
    >>> config.journal.durability, config.value("durability"), str(config.source_of("durability"))
    ('mapped', 'mapped', 'default')
    """

    capture: CaptureSettings = field(default_factory=CaptureSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    inflight: InflightSettings = field(default_factory=InflightSettings)
    otlp: OtlpSettings = field(default_factory=OtlpSettings)
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    redaction: RedactionSettings = field(default_factory=RedactionSettings)
    sources: Mapping[str, Source] = field(
        default_factory=lambda: MappingProxyType({}), compare=False
    )
    file: Path | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def value(self, name: str) -> object:
        """Return the value of the setting `name` (kebab-case).

        Raises:
            ConfigError: There is no such setting.
        """
        setting = setting_named(name)
        return getattr(getattr(self, setting.section), setting.field)

    def source_of(self, name: str) -> Source:
        """Return the source of the value of the setting `name`.

        Raises:
            ConfigError: There is no such setting.
        """
        return self.sources.get(setting_named(name).name, DEFAULT)

    def items(self) -> Iterator[tuple[Setting, object, Source]]:
        """Yield each setting with its value and the value's source, in the order of `SETTINGS`."""
        for setting in SETTINGS:
            yield setting, self.value(setting.name), self.source_of(setting.name)

    def with_values(self, values: Mapping[str, tuple[object, Source]]) -> Config:
        """Return a copy with these values, which are already checked, by setting name."""
        changes: dict[str, Any] = {}
        for name, (value, _) in values.items():
            setting = setting_named(name)
            section = changes.get(setting.section) or getattr(self, setting.section)
            changes[setting.section] = replace(section, **{setting.field: value})
        sources = {name: source for name, (_, source) in values.items()}
        return replace(self, sources=MappingProxyType({**self.sources, **sources}), **changes)


_DEFAULTS: Final = Config()
SETTINGS: Final[tuple[Setting, ...]] = tuple(
    setting
    for section in fields(Config)
    if is_dataclass(declared := getattr(_DEFAULTS, section.name))
    for setting in settings_of(section.name, type(declared))
)
BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


def setting_named(name: str) -> Setting:
    """Return the setting `name`, in kebab-case or as an argument.

    Raises:
        ConfigError: There is no such setting; the hint suggests the nearest.

    >>> setting_named("ring_size").name
    'ring-size'
    """
    setting = BY_NAME.get(name.replace("_", "-"))
    if setting is None:
        raise ConfigError(f"no setting {short_repr(name)}", hint=did_you_mean(name, BY_NAME))
    return setting
