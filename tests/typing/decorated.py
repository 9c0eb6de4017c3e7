"""What `auto_span` and `with_span` keep of a function's type; for mypy and pyright.

Both check each `assert_type`. A line that must be an error has `type: ignore`, and both report
one that is not needed.
"""

# ruff: noqa: ARG003, D102, D103 - only their types matter
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any, Generic, TypeVar, overload

from typing_extensions import assert_type

from otel_ext import auto_span, with_span

T = TypeVar("T")


@auto_span
def plain(order: int, card: str = "", *, retries: int = 3) -> str:
    return f"{order}{card}{retries}"


@auto_span(name="coroutine", arguments=["order"])
async def coroutine(order: int) -> list[str]:
    return [str(order)]


@auto_span(attributes={"kind": "generator"})
def generator(path: str) -> Generator[int, str, bytes]:
    sent = yield len(path)
    return sent.encode()


@auto_span
def iterator(path: str) -> Iterator[int]:
    yield len(path)


@auto_span
async def async_generator(path: str) -> AsyncGenerator[int, str]:
    yield len(path)


@auto_span
async def async_iterator(path: str) -> AsyncIterator[int]:
    yield len(path)


@auto_span
def generic(items: list[T]) -> T:
    return items[0]


@overload
def either(value: int) -> int: ...
@overload
def either(value: str) -> str: ...
@auto_span
def either(value: int | str) -> int | str:
    return value


def functions() -> None:
    assert_type(plain(7), str)
    assert_type(plain(7, "4242", retries=1), str)
    assert_type(generator("a"), Generator[int, str, bytes])
    assert_type(iterator("a"), Iterator[int])
    assert_type(async_generator("a"), AsyncGenerator[int, str])
    assert_type(async_iterator("a"), AsyncIterator[int])
    assert_type(generic([7]), int)
    assert_type(either(7), int)
    assert_type(either("a"), str)
    plain("7")  # type: ignore[arg-type]
    plain(7, retry=1)  # type: ignore[call-arg]
    plain()  # type: ignore[call-arg]


async def coroutines() -> None:
    assert_type(await coroutine(7), list[str])
    awaitable: Coroutine[Any, Any, list[str]] = coroutine(7)
    assert_type(await awaitable, list[str])
    async for item in async_generator("a"):
        assert_type(item, int)
    await coroutine("7")  # type: ignore[arg-type]


class Shop:
    """Methods of every kind."""

    @auto_span
    def method(self, order: int) -> str:
        return str(order)

    @auto_span(name="a coroutine")
    async def async_method(self, order: int) -> str:
        return str(order)

    @classmethod
    @auto_span
    def below_classmethod(cls, order: int) -> Shop:
        return cls()

    @auto_span
    @classmethod
    def above_classmethod(cls, order: int) -> Shop:
        return cls()

    @staticmethod
    @auto_span
    def below_staticmethod(order: int) -> str:
        return str(order)

    @auto_span
    @staticmethod
    def above_staticmethod(order: int) -> str:
        return str(order)

    @property
    @auto_span
    def total(self) -> int:
        return 12

    @with_span("with arguments", kind="method")
    def in_with_span(self, order: int) -> str:
        return str(order)


async def methods(shop: Shop) -> None:
    assert_type(shop.method(7), str)
    assert_type(await shop.async_method(7), str)
    assert_type(shop.below_classmethod(7), Shop)
    assert_type(Shop.below_classmethod(7), Shop)
    assert_type(Shop.above_classmethod(7), Shop)
    assert_type(shop.below_staticmethod(7), str)
    assert_type(Shop.above_staticmethod(7), str)
    assert_type(shop.total, int)
    assert_type(shop.in_with_span(7), str)
    shop.method("7")  # type: ignore[arg-type]
    Shop.above_staticmethod("7")  # type: ignore[arg-type]
    shop.in_with_span("7")  # type: ignore[arg-type]


@auto_span
class Box(Generic[T]):
    """A whole class."""

    size: int = 0

    def __init__(self, item: T) -> None:
        self.item = item

    def get(self) -> T:
        return self.item


@auto_span(arguments=["order"])
class Chosen:
    """A whole class, with arguments of the decorator."""

    def charge(self, order: int) -> str:
        return str(order)


class Derived(Chosen):
    """A decorated class can be derived from."""


def classes() -> None:
    assert_type(Box(7), Box[int])
    assert_type(Box("a").get(), str)
    assert_type(Box.size, int)
    assert_type(Chosen().charge(7), str)
    assert_type(Derived().charge(7), str)
    made: list[type[Chosen]] = [Chosen, Derived]
    assert_type(made[0](), Chosen)
    Chosen().charge("7")  # type: ignore[arg-type]


@with_span("plain")
def plain_in_with_span(order: int, card: str = "", *, retries: int = 3) -> str:
    return f"{order}{card}{retries}"


@with_span("coroutine")
async def coroutine_in_with_span(order: int) -> list[str]:
    return [str(order)]


@with_span("generator")
def generator_in_with_span(path: str) -> Generator[int, str, bytes]:
    sent = yield len(path)
    return sent.encode()


@with_span("async generator")
async def async_generator_in_with_span(path: str) -> AsyncGenerator[int, str]:
    yield len(path)


async def in_with_span() -> None:
    assert_type(plain_in_with_span(7, retries=1), str)
    assert_type(await coroutine_in_with_span(7), list[str])
    assert_type(generator_in_with_span("a"), Generator[int, str, bytes])
    assert_type(async_generator_in_with_span("a"), AsyncGenerator[int, str])
    call: Callable[[int], str] = plain_in_with_span
    assert_type(call(7), str)
    plain_in_with_span("7")  # type: ignore[arg-type]
    plain_in_with_span(7, retry=1)  # type: ignore[call-arg]
