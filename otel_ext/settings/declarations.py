"""Defines `Setting`, and `declare`, with which a part of the program declares one.

The settings themselves are the fields of the dataclasses in the `settings` module of each
part, such as `otel_ext.journal.settings`: each declared once, with type, default, kind and
help. `otel_ext.config` collects them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    from typing import Any

    from otel_ext.settings.kinds import Kind

__all__ = ["ENV_PREFIX", "Setting", "declare", "settings_of"]

ENV_PREFIX: Final = "OTEL_EXT_"

T = TypeVar("T")


class Setting(NamedTuple):
    """One setting: a row of the table `SETTINGS`.

    Args:
        name: Its name, and its key in a file, in kebab-case.
        section: The section of `Config` that holds it.
        field: Its name in that section.
        default: Its value when no source sets it.
        kind: Which values are allowed, and how they are parsed.
        help: What it does, in one or two sentences.
        aliases: Further environment variables, used when `env` is not set.

    >>> from otel_ext.exporters.delivery.settings import RemoteSettings
    >>> settings_of("remote", RemoteSettings)[0].env
    'OTEL_EXT_PERSISTENT_QUEUE'
    """

    name: str
    section: str
    field: str
    default: object
    kind: Kind
    help: str
    aliases: tuple[str, ...] = ()

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + self.argument.upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """All environment variables that set it, those with precedence first."""
        return self.env, *self.aliases

    @property
    def argument(self) -> str:
        """The keyword argument that sets it."""
        return self.name.replace("-", "_")


def declare(
    kind: Kind, help_text: str, *, default: T, name: str = "", aliases: tuple[str, ...] = ()
) -> T:
    """Declare a field of a frozen dataclass as a setting.

    Args:
        kind: Which values are allowed, and how they are parsed.
        help_text: What it does.
        default: Its value when no source sets it.
        name: Its name, if that is not the field's name in kebab-case.
        aliases: Further environment variables, used when its own is not set.

    Returns:
        A dataclass field, typed like the default, as `dataclasses.field` is. Code that has
        no settings object reads the default from the class: `JournalSettings.ring_size`.
    """
    # A dataclass refuses a mapping as a class attribute.
    is_mapping = isinstance(default, Mapping)
    options: dict[str, Any] = {"default_factory": lambda: default} if is_mapping else {}
    return cast(
        "T",
        field(
            **(options or {"default": default}),
            metadata={"kind": kind, "help": help_text, "name": name, "aliases": aliases},
            repr=not kind.is_secret,
        ),
    )


def settings_of(section: str, holder: type[Any]) -> tuple[Setting, ...]:
    """Return the settings that the dataclass `holder` declares, in the order of its fields."""
    defaults = holder()
    return tuple(
        Setting(
            name=item.metadata["name"] or item.name.replace("_", "-"),
            section=section,
            field=item.name,
            default=getattr(defaults, item.name),
            kind=item.metadata["kind"],
            help=item.metadata["help"],
            aliases=item.metadata["aliases"],
        )
        for item in fields(holder)
    )
