"""`AsyncBlock`: lets a block that is used with `with` be used with `async with` too."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["AsyncBlock"]

T = TypeVar("T")


class AsyncBlock:
    """A base class for context managers that never wait: `async with` does the same as `with`."""

    __slots__ = ()

    async def __aenter__(self: AbstractContextManager[T]) -> T:
        """Do what `__enter__` does."""
        return self.__enter__()

    async def __aexit__(
        self: AbstractContextManager[object],
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do what `__exit__` does."""
        self.__exit__(kind, error, trace)
