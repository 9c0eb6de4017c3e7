"""A weak reference to a bound method.

`weakref.WeakMethod` is not used: its own callback fails, with a message on stderr,
when the garbage collector clears it before its object, as at the end of a program.
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
        callback: Called when the object is collected, with the weak reference.

    >>> class Lamp:
    ...     def state(self) -> str:
    ...         return "on"
    >>> lamp = Lamp()
    >>> method = WeakMethod(lamp.state)
    >>> method()()
    'on'
    >>> del lamp
    >>> method() is None
    True
    """

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
