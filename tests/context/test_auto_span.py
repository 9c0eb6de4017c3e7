"""`auto_span` on functions, methods and classes, and what it takes from arguments."""

from __future__ import annotations

import abc
import asyncio
import functools
import inspect
import pickle
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import INVALID_SPAN

from otel_ext.context.arguments import ArgumentReader, attribute_of
from otel_ext.context.auto import auto_span
from otel_ext.context.manual import current_span
from otel_ext.context.outcome import Failure
from otel_ext.context.spans import with_span
from otel_ext.errors import ConfigError
from tests.context.tracing import leave_no_span
from tests.global_provider import as_global

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.context.tracing import Tracing


@auto_span
def charge(order: int, /, card: str, *rest: int, retries: int = 3, **more: object) -> object:
    """Charge a card."""
    if retries < 0:
        raise ValueError("retries")
    return current_span(), order, card, rest, retries, more


@auto_span(arguments=["order", "retries"])
async def refund(order: int, card: str, *, retries: int = 3) -> str:
    """Refund a card."""
    await asyncio.sleep(0)
    return f"{order} {card} {retries}"


class Base:
    """A class whose methods subclasses inherit."""

    @auto_span
    def greet(self, name: str) -> str:
        """Greet."""
        return f"{type(self).__name__} {name}"

    @auto_span(arguments=["name"])
    @classmethod
    def make(cls, name: str) -> str:
        """Make one."""
        return f"{cls.__name__} {name}"

    @staticmethod
    @auto_span(arguments="name")
    def of(name: str) -> str:
        """Return the name."""
        return name

    def plain(self) -> bool:
        """Whether a span is current."""
        return current_span() is not INVALID_SPAN


class Derived(Base):
    """A subclass that extends a method."""

    @auto_span(name="extended")
    def greet(self, name: str) -> str:
        """Greet twice."""
        return super().greet(name) * 2


@auto_span(attributes={"layer": "shop"}, arguments=["order"])
class Shop:
    """A class with all kinds of members."""

    limit = 3
    convert = staticmethod(functools.partial(int, base=2))
    size = staticmethod(len)

    class Inner:
        """A class within it."""

        def call(self) -> bool:
            """Whether a span is current."""
            return current_span() is not INVALID_SPAN

    def __init__(self) -> None:
        self.made_in = current_span()

    def sell(self, order: int) -> int:
        """Sell, through a private method."""
        return self._count() + order

    def _count(self) -> int:
        return 1 if current_span() is not INVALID_SPAN else 0

    async def ship(self, order: int) -> int:
        """Ship."""
        await asyncio.sleep(0)
        return order

    def items(self) -> Generator[int, None, None]:
        """Yield items."""
        yield 1

    @classmethod
    def open(cls) -> str:
        """Open."""
        return cls.__name__

    @staticmethod
    def name() -> str:
        """Return the name."""
        return "shop"

    @property
    def is_traced(self) -> bool:
        """Whether a span is current."""
        return current_span() is not INVALID_SPAN


def test_a_function_runs_in_a_span(traced: Tracing) -> None:
    """Its qualified name is that of the span; no argument becomes an attribute."""
    result: Any = charge(7, "4242", 1, 2, retries=1, of="x")
    span, *rest = result
    assert rest == [7, "4242", (1, 2), 1, {"of": "x"}]
    assert span.get_span_context() == traced.span("charge").context
    assert traced.end_of("charge") == ("OK", None, {})


def test_what_inspect_finds_is_kept() -> None:
    """Names, text, signature and kind are those of the function; it can be pickled."""
    assert charge.__name__ == "charge"
    assert charge.__doc__ == "Charge a card."
    assert charge.__module__ == __name__
    assert str(inspect.signature(charge)) == (
        "(order: 'int', /, card: 'str', *rest: 'int', retries: 'int' = 3, **more: 'object')"
        " -> 'object'"
    )
    assert not inspect.iscoroutinefunction(charge)
    assert inspect.iscoroutinefunction(refund)
    assert asyncio.iscoroutinefunction(refund) or inspect.iscoroutinefunction(refund)
    assert pickle.loads(pickle.dumps(charge)) is charge  # noqa: S301 - made here
    assert list(inspect.signature(Base.of).parameters) == ["name"]
    assert list(inspect.signature(Base.make).parameters) == ["name"]
    assert inspect.isfunction(vars(Shop)["sell"])
    assert isinstance(vars(Shop)["open"], classmethod)
    assert isinstance(vars(Shop)["name"], staticmethod)


def test_exceptions_and_failures_are_the_status(traced: Tracing) -> None:
    """An exception passes through unchanged; a returned `Failure` is one."""
    with pytest.raises(ValueError, match="retries"):
        charge(7, "4242", retries=-1)
    auto_span(name="pay")(lambda: Failure("declined"))()
    assert traced.end_of("charge")[0] == "ERROR"
    assert traced.end_of("pay")[:2] == ("ERROR", "declined")


def test_wrong_arguments_raise_as_without_a_span(traced: Tracing) -> None:
    """A call that does not fit raises `TypeError`, and the span is an error."""
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'card'"):
        charge(7)  # type: ignore[call-arg]
    assert traced.end_of("charge")[0] == "ERROR"


def test_chosen_arguments_become_attributes(traced: Tracing) -> None:
    """Only those, by position, by name or by default."""
    assert asyncio.run(refund(7, "4242")) == "7 4242 3"
    assert traced.end_of("refund") == ("OK", None, {"order": 7, "retries": 3})
    asyncio.run(refund(card="4242", retries=5, order=8))
    assert dict(traced.spans[1].attributes or {}) == {"order": 8, "retries": 5}


@pytest.mark.parametrize(
    ("names", "wrong"), [(["ordr"], "ordr"), ("nothing", "nothing"), (["order", "more"], "more")]
)
def test_a_wrong_name_is_a_mistake_at_once(names: list[str], wrong: str) -> None:
    """The error names the function, what is wrong, and the choices."""

    def work(order: int, **more: int) -> None: ...

    with pytest.raises(ConfigError) as raised:
        auto_span(arguments=names)(work)
    text = str(raised.value)
    assert f"arguments={wrong!r} is not a parameter of" in text
    assert "work. Choose from: order, more" in text


def test_a_function_without_parameters_has_no_choice() -> None:
    """The error tells so."""
    with pytest.raises(ConfigError, match="Choose from: none, it has no parameters"):
        auto_span(arguments=["x"])(lambda: None)


@pytest.mark.parametrize("thing", [7, "name", len, functools.partial(int, base=2)])
def test_what_cannot_be_decorated_is_refused(thing: object) -> None:
    """A value, a builtin and a partial are refused at once."""
    with pytest.raises(ConfigError, match="auto_span cannot decorate"):
        auto_span(thing)


def test_a_name_has_to_be_one() -> None:
    """Names are texts or functions, and a class has several methods."""
    with pytest.raises(ConfigError, match="name=7 is not a name"):
        auto_span(name=7)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="the class Base would give all"):
        auto_span(name="one")(Base)


def test_name_and_attributes_can_come_from_the_call(traced: Tracing) -> None:
    """Functions make them from the arguments, beside chosen arguments."""

    def name(order: int, **_: object) -> str:
        return f"charge {order}"

    def attributes(order: int, card: str) -> dict[str, str | bool]:
        return {"last": card[-2:], "is_first": order == 1}

    @auto_span(name=name, attributes=attributes, arguments=["order"])
    def pay(order: int, card: str) -> None: ...

    pay(1, card="4242")
    assert traced.end_of("charge 1")[2] == {"last": "42", "is_first": True, "order": 1}


def test_a_function_of_names_that_fails_loses_the_name(
    traced: Tracing, capfd: pytest.CaptureFixture[str]
) -> None:
    """The call goes on, in a span with the function's own name; the problem is reported."""

    def fail(*_: object) -> str:
        raise RuntimeError("no name")

    @auto_span(name=fail, attributes={"a": 1})
    def pay(order: int) -> int:
        return order

    assert pay(5) == 5
    assert [span.name.rpartition(".")[2] for span in traced.spans] == ["pay"]
    assert "the name or attributes of" in capfd.readouterr().err


def test_hostile_arguments_become_texts(traced: Tracing) -> None:
    """Values that cannot be attributes are short texts, also if their `__repr__` raises."""

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    class Color(str, Enum):
        RED = "red"

    @auto_span(arguments=["thing", "many", "color"])
    def paint(thing: object, many: object, color: Color) -> None: ...

    paint(Hostile(), {"a": [1] * 99}, Color.RED)
    attributes = traced.spans[0].attributes or {}
    assert "Hostile" in str(attributes["thing"])
    assert attributes["many"] == "{'a': [1, 1, 1, 1, ...]}"
    assert attributes["color"] == "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), (1, 2)),
        ([True], [True]),
        ([], "[]"),
        ([1, "a"], "[1, 'a']"),
        (None, "None"),
        (2.5, 2.5),
        (b"x", b"x"),
    ],
)
def test_attributes_keep_their_types(value: object, expected: object) -> None:
    """Scalars and sequences of one type stay; the rest is text."""
    assert attribute_of(value) == expected


def test_an_argument_that_the_call_lacks_is_left_out() -> None:
    """The call itself raises for it, as ever."""

    def work(a: int, *, b: int) -> None: ...

    assert ArgumentReader(work, ["a", "b"]).read((), {}) == {}


def test_methods_of_all_kinds(traced: Tracing) -> None:
    """Methods, classmethods and staticmethods, in both orders of the decorators."""
    assert Base().greet("a") == "Base a"
    assert Base.make("b") == Base().make("b") == "Base b"
    assert Base.of("c") == Base().of("c") == "c"
    assert not Base().plain()
    names = [span.name for span in traced.spans]
    assert names == ["Base.greet", *["Base.make"] * 2, *["Base.of"] * 2]
    assert [dict(span.attributes or {}) for span in traced.spans[1:]] == [
        *[{"name": "b"}] * 2,
        *[{"name": "c"}] * 2,
    ]


def test_inherited_methods(traced: Tracing) -> None:
    """A subclass inherits spans, and `super` nests them; a classmethod gets the subclass."""
    assert Derived().greet("a") == "Derived aDerived a"
    assert Derived.make("b") == "Derived b"
    assert traced.parent_of("Base.greet") == "extended"
    assert traced.end_of("Base.make")[2] == {"name": "b"}


def test_a_whole_class(traced: Tracing) -> None:
    """Public functions get spans; private ones, properties and all other members none."""
    shop = Shop()
    assert shop.made_in is INVALID_SPAN
    assert (shop.sell(1), asyncio.run(shop.ship(2)), list(shop.items())) == (2, 2, [1])
    assert (Shop.open(), Shop.name(), shop.is_traced, shop.limit) == ("Shop", "shop", False, 3)
    assert (shop.convert("101"), shop.size([1]), Shop.Inner().call()) == (5, 1, False)
    found = {span.name: dict(span.attributes or {}) for span in traced.spans}
    layer = {"layer": "shop"}
    assert found == {
        "Shop.sell": {**layer, "order": 1},
        "Shop.ship": {**layer, "order": 2},
        "Shop.items": layer,
        "Shop.open": layer,
        "Shop.name": layer,
    }


def test_classes_with_rules_of_their_own(traced: Tracing) -> None:
    """Abstract classes stay abstract, and data classes with slots work."""

    @auto_span
    class Abstract(abc.ABC):
        @abc.abstractmethod
        def work(self) -> int: ...

    @auto_span
    @dataclass(frozen=True)
    class Point:
        __slots__ = ("x",)
        x: int

        def double(self) -> int:
            return self.x * 2

    with pytest.raises(TypeError, match="abstract"):
        Abstract()  # type: ignore[abstract]
    assert Point(3).double() == 6
    assert Point(3) == Point(3)
    assert [span.name.rpartition(".")[2] for span in traced.spans] == ["double"]


def test_local_functions_have_short_names(traced: Tracing) -> None:
    """`<locals>` is not part of the span's name."""

    @auto_span
    def work() -> None: ...

    work()
    assert traced.spans[0].name == "test_local_functions_have_short_names.work"


def test_recursion_and_other_spans_nest(traced: Tracing) -> None:
    """Each call is the child of the span around it."""

    @auto_span(name="down", arguments=["n"])
    def down(n: int) -> int:
        with with_span("step"):
            return down(n - 1) if n else 0

    down(2)
    parents = [span.parent and span.parent.span_id for span in traced.spans]
    ids: list[Any] = [span.context.span_id for span in traced.spans if span.context]
    assert parents == [*ids[1:], None]


def test_without_a_provider_nothing_is_read(unsampled: Tracing) -> None:
    """With tracing off or sampled out the call runs as ever."""
    with as_global(None), leave_no_span():
        assert asyncio.run(refund(7, "4242")) == "7 4242 3"
        assert Shop().sell(1) == 1
    assert asyncio.run(refund(7, "4242")) == "7 4242 3"
    assert unsampled.spans == []
