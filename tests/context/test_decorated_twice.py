"""`auto_span` where a function has a span already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.context import auto_span

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
