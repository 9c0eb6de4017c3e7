"""`kind_of`: makes the kind of a setting from the type annotation of its field."""

from __future__ import annotations

from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Final, Literal, Union, cast, get_args, get_origin

from otel_ext.settings.kinds import Kind
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["GivenKind", "kind_of"]

_MAX_LISTED: Final = 20


class GivenKind(Kind):
    """A kind that is put together of a text and a function.

    Args:
        allowed: The allowed values, as words that can follow "Use".
        parse: Returns a value as the setting holds it; raises if it is not allowed.
        names: The names to suggest for a misspelled one.
        is_secret: Whether messages must not show a value.

    >>> GivenKind("text", str).parse(5)
    '5'
    """

    def __init__(
        self,
        allowed: str,
        parse: Callable[[object], object],
        names: tuple[str, ...] = (),
        *,
        is_secret: bool = False,
    ) -> None:
        self.allowed = allowed
        self.names = names
        self.is_secret = is_secret
        self._parse = parse

    def parse(self, value: object) -> object:
        """Return `value` as the setting holds it; raise if it is not allowed."""
        return self._parse(value)


def kind_of(annotation: object) -> Kind:
    """Return the kind of a setting whose field has this type, already resolved.

    Numbers, text, enums, literals, unions, and tuples and lists of those are checked item by
    item; of any other class a value must be an instance.

    >>> kind_of(float).parse(5), kind_of(tuple[int, ...]).parse([1, 2])
    (5.0, (1, 2))
    >>> kind_of(Literal["fast", "slow"] | None).allowed
    "one of: 'fast', 'slow'; or None"
    """
    plain = _PLAIN.get(annotation) if isinstance(annotation, type) else None
    if plain is not None:
        return plain
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated or origin is None:
        # The second is what `NewType` keeps.
        inner = arguments[0] if arguments else getattr(annotation, "__supertype__", None)
        if inner is not None:
            return kind_of(inner)
    if origin is Literal:
        return _literal(arguments)
    if origin in {Union, UnionType}:
        return _union([kind_of(argument) for argument in arguments])
    if origin in {tuple, list} or annotation in {tuple, list}:
        return _sequence(cast("type[object]", origin or annotation), arguments)
    found = origin or annotation
    return _instance(cast("type[object]", found)) if isinstance(found, type) else _ANY


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a whole number")
    return value


def _float(value: object) -> float:
    return value if isinstance(value, float) else float(_number(value))


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _none(value: object) -> None:
    if value is not None:
        raise TypeError("not None")


_PLAIN: Final[dict[type[object], Kind]] = {
    int: GivenKind("a whole number", _number),
    float: GivenKind("a number", _float),
    bool: GivenKind("True or False", _bool),
    str: GivenKind("text", _text),
    NoneType: GivenKind("None", _none),
}
_ANY: Final = GivenKind("any value", lambda value: value)


def _literal(values: tuple[object, ...]) -> Kind:
    def parse(value: object) -> object:
        # The type too: True is not 1.
        if not any(type(value) is type(one) and value == one for one in values):
            raise ValueError("not one of the values")
        return value

    names = tuple(value for value in values if isinstance(value, str))
    return GivenKind(f"one of: {_listed([short_repr(value) for value in values])}", parse, names)


def _union(kinds: list[Kind]) -> Kind:
    def parse(value: object) -> object:
        for kind in kinds:
            try:
                return kind.parse(value)
            except Exception:  # noqa: BLE001, S112 - the value may be of a user's class
                continue
        raise ValueError("of none of the types")

    allowed = "; or ".join(kind.allowed for kind in kinds)
    return GivenKind(allowed, parse, tuple(name for kind in kinds for name in kind.names))


def _sequence(made: type[object], arguments: tuple[object, ...]) -> Kind:
    """Return the kind of a tuple or list, which may be given as the other of the two."""
    make = cast("Callable[[Sequence[object]], object]", made)
    noun = made.__name__
    is_fixed = made is tuple and arguments and arguments[-1] is not Ellipsis
    if is_fixed:
        kinds = [kind_of(argument) for argument in arguments]
        allowed = f"a tuple of {len(kinds)}: {', '.join(kind.allowed for kind in kinds)}"
    else:
        kinds = [kind_of(arguments[0]) if arguments else _ANY]
        allowed = f"a {noun} with, for each item, {kinds[0].allowed}"

    def parse(value: object) -> object:
        if not isinstance(value, (tuple, list)):
            raise TypeError(f"not a {noun}")
        items = list(cast("Sequence[object]", value))
        each = kinds if is_fixed else kinds * len(items)
        if len(each) != len(items):
            raise ValueError("another number of items")
        return make([kind.parse(item) for kind, item in zip(each, items, strict=True)])

    return GivenKind(allowed, parse)


def _instance(wanted: type[object]) -> Kind:
    def parse(value: object) -> object:
        try:
            is_one = isinstance(value, wanted)
        except TypeError:  # a protocol that cannot be checked
            return value
        if not is_one:
            raise TypeError("not an instance")
        return value

    if issubclass(wanted, Enum):
        members = [f"{wanted.__name__}.{member.name}" for member in wanted]
        return GivenKind(f"one of: {_listed(members)}", parse, tuple(members))
    return GivenKind(f"an instance of {wanted.__qualname__}", parse)


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_MAX_LISTED]) + (", ..." if len(texts) > _MAX_LISTED else "")
