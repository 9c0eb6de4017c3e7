"""`Leaf`: one setting, made from the field of a dataclass, with the check of its values."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_type_hints

from otel_ext.config.messages import Source
from otel_ext.config.precedence import check_value
from otel_ext.errors import ConfigError
from otel_ext.redaction.rules.names import rule_for_name
from otel_ext.runtime.guard import describe
from otel_ext.services.live_settings.kinds_of import GivenKind, kind_of
from otel_ext.settings.declarations import Setting
from otel_ext.settings.kinds import Kind
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field

__all__ = ["SECRET", "Leaf", "hints_of", "leaf_of", "secret_rule"]

SECRET: Final = "secret"  # noqa: S105 - the name of a rule
"""The rule of a value that its field marks as a secret."""

_UPDATE: Final = Source("code", "update")


class Leaf(NamedTuple):
    """One setting.

    Attributes:
        name: Its dotted name, such as `pool.size`.
        read: Returns its value in a root.
        kind: Which values are allowed.
        is_declared: Whether its field is declared as the settings of otel-ext are.
        validate: The program's own check; None without one.
        rule: The rule by which its value is a secret; empty if it is not.
        is_computed: Whether the dataclass computes it, so that it cannot be set.
    """

    name: str
    read: Callable[[object], object]
    kind: Kind
    is_declared: bool
    validate: Callable[[object], object] | None
    rule: str
    is_computed: bool

    def checked(self, value: object, source: Source = _UPDATE) -> object:
        """Return a value as the setting holds it.

        Args:
            value: The value.
            source: Where it comes from, for the message.

        Raises:
            ConfigError: It is not allowed.
        """
        setting = Setting(self.name, "", self.name, None, self.kind, "")
        parsed = check_value(setting, value, source)
        if self.validate is None:
            return parsed
        try:
            answer = self.validate(parsed)
            reason = "its check returned False" if answer is False else ""
        except Exception as error:  # noqa: BLE001 - the program's own check
            # A message may quote the value.
            reason = f"its check raised {type(error).__name__ if self.rule else describe(error)}"
        if not reason:
            return parsed
        shown = "the value" if self.rule else short_repr(parsed)
        raise ConfigError(
            f"{self.name}: {shown} is not allowed: {reason}",
            hint="Use a value that its check accepts.",
            context={"key": self.name, "value": shown, "reason": reason},
        )


def hints_of(kind: type[object]) -> dict[str, object]:
    """Return the types of the fields of a dataclass.

    Raises:
        ConfigError: An annotation names what is not there while the program runs.
    """
    try:
        return get_type_hints(kind, include_extras=True)
    except Exception as error:
        raise ConfigError(
            f"the types of the fields of {kind.__qualname__} are not known: {describe(error)}",
            hint="Define or import at the top of its module, and not only for type checkers,"
            " what its annotations name.",
        ) from error


def secret_rule(field: Field[Any], name: str) -> str:
    """Return the rule by which the value of a field is a secret; empty if it is not.

    Args:
        field: The field; `secret` in its metadata says so, or that it is not.
        name: The name that the rules for names judge otherwise.
    """
    marked: object = field.metadata.get("secret")
    if marked is not None:
        return SECRET if marked else ""
    kind: object = field.metadata.get("kind")
    return SECRET if isinstance(kind, Kind) and kind.is_secret else rule_for_name(name)


def leaf_of(field: Field[Any], name: str, annotation: object) -> Leaf:
    """Return the setting that a field of a dataclass is.

    Args:
        field: The field; its metadata may have `secret`, `validate`, and what `declare` puts there.
        name: The setting's dotted name.
        annotation: The field's type.

    Raises:
        ConfigError: `validate` cannot be called.
    """
    metadata = field.metadata
    declared: object = metadata.get("kind")
    is_declared = isinstance(declared, Kind)
    kind = declared if isinstance(declared, Kind) else kind_of(annotation)
    rule = secret_rule(field, name)
    if bool(rule) is not kind.is_secret:
        kind = GivenKind(kind.allowed, kind.parse, kind.names, is_secret=bool(rule))
    validate: object = metadata.get("validate")
    if validate is not None and not callable(validate):
        raise ConfigError(
            f"{name}: validate={short_repr(validate)} in the field's metadata cannot be called",
            hint="Use a function that takes the value, and raises if it is not allowed.",
        )
    read = attrgetter(name)
    return Leaf(name, read, kind, is_declared, validate, rule, is_computed=not field.init)
