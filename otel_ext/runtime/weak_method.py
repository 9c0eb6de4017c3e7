"""A bound method that does not keep its object alive.

`weakref.WeakMethod` does the same with a callback of its own, which fails, and
says so on standard error, when the collector takes it apart before its object,
as happens when a program ends.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import MethodType

__all__ = ["WeakMethod"]

_T = TypeVar("_T")


class WeakMethod(Generic[_T]):
    """Returns the bound method when called, or None once its object is gone.

    Args:
        method: A bound method.
        callback: Called once when the object goes, with something of no meaning.

    >>> class Bell:
    ...     def ring(self) -> str:
    ...         return "ding"
    >>> bell = Bell()
    >>> method = WeakMethod(bell.ring)
    >>> method()()
    'ding'
    >>> del bell
    >>> method() is None
    True
    """

    __slots__ = ("_function", "_object")

    def __init__(
        self, method: Callable[[], _T], callback: Callable[[object], object] | None = None
    ) -> None:
        bound = cast("MethodType", method)
        self._object: weakref.ref[object] = weakref.ref(bound.__self__, callback)
        self._function = bound.__func__

    def __call__(self) -> Callable[[], _T] | None:
        """Return the method, bound again, or None."""
        holder = self._object()
        return None if holder is None else self._function.__get__(holder)
