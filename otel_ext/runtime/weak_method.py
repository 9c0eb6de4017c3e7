"""A weak reference to a bound method.

`weakref.WeakMethod` is not used: its own callback fails, with a message on stderr,
when the garbage collector clears it before its object, as at the end of a program.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import MethodType

__all__ = ["WeakMethod", "WeakMethods"]

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


class WeakMethods:
    """Bound methods of objects that may go, one for each object, in the order they were added.

    Safe on threads: each step is one call of a dict's method.

    >>> class Lamp:
    ...     def switch(self) -> None:
    ...         print("switched")
    >>> methods, lamp = WeakMethods(), Lamp()
    >>> methods.add(lamp.switch)
    >>> for switch in methods.living():
    ...     switch()
    switched
    >>> del lamp, switch
    >>> list(methods.living()), len(methods)
    ([], 1)
    """

    def __init__(self) -> None:
        self._known: dict[int, WeakMethod[None]] = {}

    def __len__(self) -> int:
        """Return how many are kept; of objects that are gone too, until one is added."""
        return len(self._known)

    def add(self, method: Callable[[], None]) -> None:
        """Keep a bound method for as long as its object lives."""
        for stale in [key for key, known in self._known.copy().items() if known() is None]:
            self._known.pop(stale, None)
        self._known[id(cast("MethodType", method).__self__)] = WeakMethod(method)

    def living(self) -> Iterator[Callable[[], None]]:
        """Yield the methods whose objects live."""
        for known in list(self._known.copy().values()):
            method = known()
            if method is not None:
                yield method
