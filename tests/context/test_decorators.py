"""Decorators of methods and classes: combined, refused, and what they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.context import auto_span, with_span
from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from tests.context.tracing import Tracing


def test_a_method_of_a_decorated_class_keeps_its_own_decorator(traced: Tracing) -> None:
    """Its call makes one span, as its own decorator says."""

    @auto_span
    class Till:
        @auto_span(name="close the till")
        def close(self) -> None:
            """Close it."""

        @classmethod
        @auto_span(name="open a till")
        def open(cls) -> None:
            """Open it."""

    Till.open()
    Till().close()
    assert [span.name for span in traced.spans] == ["open a till", "close the till"]


def test_both_decorators_of_a_function_count(traced: Tracing) -> None:
    """A function that is decorated twice by hand makes two spans, one within the other."""

    @auto_span(name="outer")
    @auto_span(name="inner")
    def work() -> None:
        """Do nothing."""

    work()
    assert traced.parent_of("inner") == "outer"


def test_an_argument_that_no_method_has_is_refused() -> None:
    """A misspelt name is an error when the class is decorated, and names the right ones."""
    with pytest.raises(
        ConfigError, match="arguments='oder' is not a parameter of a public"
    ) as error:

        @auto_span(arguments=["oder"])
        class Shop:
            def sell(self, order: int) -> int:
                return order

    assert "Choose from: order, self." in str(error.value)


def test_methods_of_classes_can_be_decorated(traced: Tracing) -> None:
    """Class and static methods stay what they are; a class is refused."""

    class Shop:
        @with_span("open")
        @classmethod
        def open(cls) -> str:
            return cls.__name__

        @with_span("add")
        @staticmethod
        def add(a: int, b: int) -> int:
            return a + b

    assert (Shop.open(), Shop().add(1, 2)) == ("Shop", 3)
    assert [span.name for span in traced.spans] == ["open", "add"]
    with pytest.raises(ConfigError, match="with_span cannot decorate .*Use auto_span"):
        with_span("shop")(Shop)
