"""Takes attributes of a span from the arguments of a call, those that are chosen by name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from otel_ext.errors import ConfigError
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.util.types import AttributeValue

__all__ = ["ArgumentReader", "attribute_of"]

_SCALARS: Final = (str, bool, int, float, bytes)
_SEQUENCES: Final = (list, tuple)
_MISSING: Final = object()


class ArgumentReader:
    """Reads chosen arguments from the calls of one function.

    Args:
        function: The function.
        names: The names of the parameters to read.

    Raises:
        ConfigError: The function has no parameter of such a name.

    >>> def charge(order: int, card: str, retries: int = 3) -> None: ...
    >>> reader = ArgumentReader(charge, ["order", "retries"])
    >>> reader.read((7, "4242"), {})
    {'order': 7, 'retries': 3}
    """

    def __init__(self, function: Callable[..., object], names: Sequence[str]) -> None:
        parameters = inspect.signature(function).parameters
        # Its position, -1 without one, and its default.
        self._known: list[tuple[str, int, object]] = []
        for name in names:
            found = parameters.get(name)
            if found is None or found.kind in {found.VAR_POSITIONAL, found.VAR_KEYWORD}:
                raise ConfigError(
                    f"arguments={name!r} is not a parameter of {function.__qualname__}",
                    hint=f"Choose from: {', '.join(parameters) or 'none, it has no parameters'}.",
                )
            position = -1 if found.kind is found.KEYWORD_ONLY else list(parameters).index(name)
            default = _MISSING if found.default is found.empty else found.default
            self._known.append((name, position, default))

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, AttributeValue]:
        """Return the chosen arguments of a call; one that the call lacks is left out."""
        found: dict[str, AttributeValue] = {}
        for name, position, default in self._known:
            is_positional = 0 <= position < len(args)
            value = args[position] if is_positional else kwargs.get(name, default)
            if value is not _MISSING:
                found[name] = attribute_of(value)
        return found


def attribute_of(value: object) -> AttributeValue:
    """Return a value as a span attribute: as it is if it can be one, else as short text.

    >>> attribute_of(7), attribute_of(["a", "b"]), attribute_of({"a": 1})
    (7, ['a', 'b'], "{'a': 1}")
    """
    # By type, since an object that is made on first use may compute its `__class__`.
    if issubclass(type(value), _SCALARS):
        return cast("AttributeValue", value)
    if issubclass(type(value), _SEQUENCES):
        items = cast("Sequence[object]", value)
        if len({type(item) for item in items}) == 1 and type(items[0]) in _SCALARS:
            return cast("AttributeValue", value)
    return short_repr(value)
