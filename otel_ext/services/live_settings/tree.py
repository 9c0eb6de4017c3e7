"""`Tree`: the names of the settings in a dataclass, and the checks of their values."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, cast

from otel_ext.config.messages import Problems, Source, did_you_mean
from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import describe
from otel_ext.services.live_settings.leaf import hints_of, leaf_of
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_ext.services.live_settings.leaf import Leaf

__all__ = ["Changed", "Tree", "is_record"]

T = TypeVar("T")

_MAX_LISTED: Final = 20
_INITIAL: Final = Source("code", "initial")


class Changed(NamedTuple):
    """A setting with its value before and after an update."""

    leaf: Leaf
    old: object
    new: object


def is_record(value: object) -> bool:
    """Whether `value` is an instance of a dataclass, and not a dataclass itself."""
    return is_dataclass(value) and not isinstance(value, type)


class Tree(Generic[T]):
    """The settings in a frozen dataclass, by dotted names; those that it nests are groups.

    Args:
        root: The dataclass instance, with the initial values.
        explain: Returns the error for a name that is not of a setting, or None.

    Raises:
        ConfigError: `root` or a value in it is not usable; the message says why.
    """

    def __init__(
        self, root: T, explain: Callable[[str], ConfigError | None] = lambda _: None
    ) -> None:
        self._explain = explain
        self.leaves: dict[str, Leaf] = {}
        self.groups: dict[str, type[object]] = {}
        self.readers: dict[str, Callable[[object], object]] = {}
        self._add(root, "")
        self._check_initial(root)

    def _add(self, node: object, path: str) -> None:
        where = path or "initial"
        if not is_record(node):
            example = f": {node.__name__}()" if isinstance(node, type) else ""
            raise ConfigError(
                f"{where}={short_repr(node)} is not an instance of a dataclass",
                hint=f"Use an instance of a frozen dataclass{example}.",
            )
        kind = type(node)
        if not getattr(kind, "__dataclass_params__").frozen:  # noqa: B009 - unknown to checkers
            raise ConfigError(
                f"{where}: {kind.__qualname__} is not frozen, so it could change unnoticed",
                hint="Use @dataclass(frozen=True).",
            )
        hints = hints_of(kind)
        for field in fields(cast("Any", node)):
            name = f"{path}.{field.name}" if path else field.name
            value = getattr(node, field.name)
            self.readers[name] = attrgetter(name)
            if is_record(value) and field.init:
                self.groups[name] = type(value)
                self._add(value, name)
            else:
                self.leaves[name] = leaf_of(field, name, hints.get(field.name))

    def _check_initial(self, root: T) -> None:
        problems = Problems()
        for leaf in self.leaves.values():
            # What a declaration of otel-ext has as default need not be parsed.
            if not leaf.is_declared:
                with problems.collecting():
                    leaf.checked(leaf.read(root), _INITIAL)
        problems.raise_all()

    def reader(self, name: str) -> Callable[[object], object]:
        """Return the function that reads a setting or a group; ConfigError for another name."""
        self.check_text(name)
        found = self.readers.get(name)
        if found is None:
            raise self.unknown(name)
        return found

    def check_text(self, name: object) -> None:
        """Raise ConfigError if a name is not text, as from a program without types."""
        if not isinstance(name, str):
            raise self.unknown(name)

    def unknown(self, name: object) -> ConfigError:
        """Return the error for a name that is not of a setting; it suggests the nearest."""
        hint = ""
        if isinstance(name, str):
            explained = self._explain(name)
            if explained is not None:
                return explained
            hint = did_you_mean(name, self.readers)
        return ConfigError(
            f"there is no setting {short_repr(name)}",
            hint=hint or f"The names are: {', '.join(list(self.readers)[:_MAX_LISTED])}.",
            context={"setting": short_repr(name)},
        )

    def below(self, name: str) -> list[Leaf]:
        """Return a setting, or those of a group that can be set.

        Raises:
            ConfigError: There is no such setting or group, or it is computed.
        """
        self.reader(name)
        leaf = self.leaves.get(name)
        if leaf is not None:
            if leaf.is_computed:
                raise ConfigError(
                    f"{name} is computed by its dataclass, so it cannot be set",
                    hint="Set those that it is computed from.",
                )
            return [leaf]
        inside = f"{name}."
        leaves = (leaf for leaf in self.leaves.values() if not leaf.is_computed)
        return [leaf for leaf in leaves if leaf.name.startswith(inside)]

    def checked(self, changes: Mapping[str, object], current: T) -> dict[str, object]:
        """Return the new value of each setting that `changes` name, checked.

        Raises:
            ConfigError: A name or a value is wrong; the message lists every mistake.
        """
        problems = Problems()
        values: dict[str, object] = {}
        for name, value in dict(changes).items():
            with problems.collecting():
                for leaf, new in self._expanded(name, value):
                    if leaf.name in values:
                        raise ConfigError(
                            f"{leaf.name} is there twice, by itself and in its group",
                            hint="Leave one of them out.",
                        )
                    is_same = new is leaf.read(current)
                    values[leaf.name] = new if is_same else leaf.checked(new)
        problems.raise_all()
        return values

    def _expanded(self, name: str, value: object) -> Iterator[tuple[Leaf, object]]:
        leaves = self.below(name)
        if name in self.leaves:
            yield leaves[0], value
            return
        wanted = self.groups[name]
        if type(value) is not wanted:
            inside = [leaf.name for leaf in leaves][:5]
            raise ConfigError(
                f"{name}: {_kind_name(value)} is not allowed for a group of settings",
                hint=f"Use an instance of {wanted.__qualname__}, or one of the names in the"
                f" group: {', '.join(inside)}.",
                context={"setting": name},
            )
        for leaf in leaves:
            yield leaf, attrgetter(leaf.name[len(name) + 1 :])(value)

    def replaced(self, root: T, values: Mapping[str, object]) -> T:
        """Return a copy of `root` with these values, which are already checked.

        Raises:
            ConfigError: A dataclass refuses them, by an error in its `__post_init__`.
        """
        made = cast("T", self._replaced(root, values, ""))
        for name, wanted in self.groups.items():
            found = self.readers[name](made)
            if type(found) is not wanted:
                raise ConfigError(
                    f"{name}: its dataclass has replaced it by {_kind_name(found)}",
                    hint=f"Let `__post_init__` keep an instance of {wanted.__qualname__} there.",
                )
        return made

    def _replaced(self, node: object, values: Mapping[str, object], path: str) -> object:
        direct: dict[str, object] = {}
        nested: dict[str, dict[str, object]] = {}
        for name, value in values.items():
            first, _, rest = name.partition(".")
            if rest:
                nested.setdefault(first, {})[rest] = value
            else:
                direct[first] = value
        for first, inside in nested.items():
            deeper = f"{path}{first}."
            direct[first] = self._replaced(getattr(node, first), inside, deeper)
        try:
            return replace(cast("Any", node), **direct)
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - the program's `__post_init__`
            rules = [self.leaves[path + name].rule for name in values]
            reason = type(error).__name__ if any(rules) else describe(error)
            names = ", ".join(path + name for name in values)
            raise ConfigError(
                f"{type(node).__qualname__} refuses the change of {names}: {reason}",
                hint="Use values that go together.",
                context={"settings": tuple(path + name for name in values), "reason": reason},
            ) from None

    def differences(self, old: T, new: T) -> list[Changed]:
        """Return the settings whose values differ."""
        found: list[Changed] = []
        for leaf in self.leaves.values():
            before, after = leaf.read(old), leaf.read(new)
            if not _is_same(before, after):
                found.append(Changed(leaf, before, after))
        return found


def _is_same(old: object, new: object) -> bool:
    if old is new:
        return True
    try:
        return type(old) is type(new) and bool(old == new)
    except Exception:  # noqa: BLE001 - a value of a user's class
        return False


def _kind_name(value: object) -> str:
    return "None" if value is None else f"a value of the type {type(value).__name__}"
