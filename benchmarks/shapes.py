"""The shapes of spans that are measured: attributes, nesting, an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer

__all__ = ["FOUR", "MAIN_SHAPE", "SHAPES", "TWENTY", "Attributes"]

Attributes = dict[str, "str | int | float | bool"]

FOUR: Final[Attributes] = {
    "http.request.method": "GET",
    "url.path": "/orders/1234",
    "http.response.status_code": 200,
    "server.address": "shop.example",
}
TWENTY: Final[Attributes] = {
    **FOUR,
    **{f"app.text.{number}": f"a value of some length, {number}" for number in range(8)},
    **{f"app.number.{number}": number * 1_000 for number in range(6)},
    "app.ratio": 0.25,
    "app.cached": True,
}
DEPTH: Final = 10


def _with_attributes(attributes: Attributes) -> Callable[[Tracer, int], None]:
    def work(tracer: Tracer, count: int) -> None:
        for _ in range(count):
            with tracer.start_as_current_span("GET /orders/{id}", attributes=attributes):
                pass

    return work


def _nest(tracer: Tracer, depth: int) -> None:
    with tracer.start_as_current_span("step", attributes=FOUR):
        if depth > 1:
            _nest(tracer, depth - 1)


def _nested(tracer: Tracer, count: int) -> None:
    for _ in range(count // DEPTH):
        _nest(tracer, DEPTH)


def _failing(tracer: Tracer, count: int) -> None:
    for _ in range(count):
        try:
            with tracer.start_as_current_span("GET /orders/{id}", attributes=FOUR):
                raise KeyError("no such order")  # noqa: TRY301 - the shape is made of it
        except KeyError:
            pass


MAIN_SHAPE: Final = "4 attributes"

SHAPES: Final[dict[str, Callable[[Tracer, int], None]]] = {
    "no attributes": _with_attributes({}),
    MAIN_SHAPE: _with_attributes(FOUR),
    "20 attributes": _with_attributes(TWENTY),
    "nested 10 deep": _nested,
    "with an exception": _failing,
}
"""Functions that make the passed number of spans, a multiple of ten."""
