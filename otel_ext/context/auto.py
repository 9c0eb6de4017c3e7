"""`auto_span`: runs each call of a function, or of a class's methods, in a span."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, overload

from otel_ext.context.arguments import ArgumentReader
from otel_ext.context.current import open_span
from otel_ext.context.wrapping import is_wrapped, wrap
from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_ext.context.current import Opener

__all__ = ["auto_span"]

T = TypeVar("T")

_Name: TypeAlias = "str | Callable[..., str] | None"
_Values: TypeAlias = "Mapping[str, AttributeValue]"
_Attributes: TypeAlias = "_Values | Callable[..., _Values]"
_Method: TypeAlias = "staticmethod[..., object] | classmethod[object, ..., object]"


@overload
def auto_span(target: T, /) -> T: ...


@overload
def auto_span(
    *,
    name: _Name = None,
    attributes: _Attributes | None = None,
    arguments: Sequence[str] = (),
) -> Callable[[T], T]: ...


def auto_span(
    target: T | None = None,
    /,
    *,
    name: _Name = None,
    attributes: _Attributes | None = None,
    arguments: Sequence[str] = (),
) -> T | Callable[[T], T]:
    """Run each call of a function in a span, or of the public methods of a class.

    Takes functions, coroutine functions, generator and async generator functions, methods,
    classmethods, staticmethods and classes; what it returns is of the same kind and has the
    same signature. The span of a generator lives as long as its iteration, and is the
    current one only while its body runs.

    No argument becomes an attribute unless it is chosen.

    Args:
        target: What to decorate, in the form without parentheses.
        name: The span's name, or a function that makes it from the arguments of the call;
            by default the qualified name of the function.
        attributes: Attributes at the start, or a function that makes them from the
            arguments of the call.
        arguments: The names of parameters whose values become attributes.

    Returns:
        The decorated function or class, or the decorator that makes it.

    Raises:
        ConfigError: `target` cannot be decorated, or `arguments` names no parameter of it.

    >>> @auto_span(arguments=["order"])
    ... def charge(order: int, card: str) -> str:
    ...     return "paid"
    >>> charge(7, "4242")
    'paid'
    """
    options = _Options(name, attributes, arguments)
    if target is None:
        return options.decorate
    return options.decorate(target)


class _Options:
    """How to name the spans of one decorator, and where their attributes come from."""

    def __init__(
        self, name: _Name, attributes: _Attributes | None, arguments: Sequence[str]
    ) -> None:
        if name is not None and not isinstance(name, str) and not callable(name):
            raise ConfigError(
                f"name={short_repr(name)} is not a name", hint="Use text or a function."
            )
        self._name = name
        self._attributes = attributes
        self._arguments = [arguments] if isinstance(arguments, str) else list(arguments)

    def decorate(self, target: T) -> T:
        if inspect.isclass(target):
            return self._decorate_class(target)
        found = self._decorate_member(target)
        if found is None:
            raise ConfigError(
                f"auto_span cannot decorate {short_repr(target)}",
                hint="Decorate a function, a method or a class.",
            )
        return cast("T", found)

    def _decorate_class(self, target: T) -> T:
        if self._name is not None:
            raise ConfigError(
                f"auto_span(name=...) on the class {target.__qualname__} would give all of its "  # type: ignore[attr-defined]
                "methods the same name",
                hint="Decorate its methods, or leave the name out.",
            )
        members = [item for item in vars(target).items() if not item[0].startswith("_")]
        self._check_arguments(target, [_function_of(member) for _, member in members])
        for key, member in members:
            found = self._decorate_member(member, is_lenient=True)
            if found is not None:
                setattr(target, key, found)
        return target

    def _check_arguments(self, target: object, methods: Sequence[object]) -> None:
        """Raise ConfigError for a chosen argument that no method has."""
        known: set[str] = set()
        for method in methods:
            if callable(method):
                known.update(inspect.signature(method).parameters)
        for name in self._arguments:
            if name not in known:
                raise ConfigError(
                    f"arguments={name!r} is not a parameter of a public method of "
                    f"{short_repr(target)}",
                    hint=f"Choose from: {', '.join(sorted(known)) or 'none, there are none'}.",
                )

    def _decorate_member(self, member: object, *, is_lenient: bool = False) -> object:
        """Return a function or method decorated; None if it is neither.

        Args:
            member: The function or method.
            is_lenient: Whether it is one of a class; a decorator of its own prevails then.
        """
        inner = _function_of(member)
        if inner is None or (is_lenient and is_wrapped(inner)):
            return None
        return wrap(
            cast("Callable[..., object]", member), self._opener(inner, is_lenient=is_lenient)
        )

    def _opener(self, function: Callable[..., object], *, is_lenient: bool) -> Opener:
        """Return what starts the span of a call.

        Args:
            function: The function.
            is_lenient: Whether it may lack some of the chosen parameters, since others of
                its class have them.
        """
        names = self._arguments
        if is_lenient:
            names = [name for name in names if name in inspect.signature(function).parameters]
        reader = ArgumentReader(function, names) if names else None
        label = function.__qualname__.replace("<locals>.", "")
        name, attributes = self._name, self._attributes
        is_fixed = not callable(name) and not callable(attributes)
        if is_fixed and reader is None:
            text, fixed = name or label, cast("Mapping[str, AttributeValue] | None", attributes)
            return lambda _args, _kwargs: open_span(cast("str", text), fixed)

        def open_from_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
            text: str = label if name is None or callable(name) else name
            found: dict[str, AttributeValue] = {}
            try:
                if callable(name):
                    text = name(*args, **kwargs)
                given = attributes(*args, **kwargs) if callable(attributes) else attributes
                found.update(given or {})
                if reader is not None:
                    found.update(reader.read(args, kwargs))
            except Exception as error:  # noqa: BLE001 - the call must go on
                report_problem(f"auto_span: the name or attributes of {label} are lost", error)
            return open_span(text, found)

        return open_from_call


def _function_of(member: object) -> Callable[..., object] | None:
    """Return the function behind a method, as a class keeps it; None if it is not a method."""
    if isinstance(member, (staticmethod, classmethod)):
        member = cast("_Method", member).__func__
    return member if inspect.isfunction(member) else None
