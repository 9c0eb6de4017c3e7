"""The shapes of spans that are measured: attributes, nesting, an exception."""

from __future__ import annotations

from itertools import count as numbers
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer

__all__ = [
    "FAILING_SHAPE",
    "FOUR",
    "MAIN_SHAPE",
    "NEW_URL_SHAPE",
    "SHAPES",
    "TWENTY",
    "Attributes",
]

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


# Never the same twice in a process, as in a program: what has seen a text once may remember it.
_ORDERS: Final = numbers(1_000)


def _find(order: int) -> None:
    raise KeyError(f"no order {order}")


def _failing(tracer: Tracer, count: int) -> None:
    for _ in range(count):
        try:
            with tracer.start_as_current_span("GET /orders/{id}", attributes=FOUR):
                _find(next(_ORDERS))
        except KeyError:
            pass


def _new_url(tracer: Tracer, count: int) -> None:
    for _ in range(count):
        url = f"http://shop.example:8000/orders/{next(_ORDERS)}?page=2&sort=asc"
        request: Attributes = {"http.request.method": "GET", "url.full": url, "server.port": 8_000}
        with tracer.start_as_current_span("GET /orders/{id}", attributes=request) as span:
            span.set_attribute("http.response.status_code", 200)


MAIN_SHAPE: Final = "4 attributes"
FAILING_SHAPE: Final = "with an exception"
NEW_URL_SHAPE: Final = "a URL never seen before"

SHAPES: Final[dict[str, Callable[[Tracer, int], None]]] = {
    "no attributes": _with_attributes({}),
    MAIN_SHAPE: _with_attributes(FOUR),
    "20 attributes": _with_attributes(TWENTY),
    "nested 10 deep": _nested,
    FAILING_SHAPE: _failing,
    NEW_URL_SHAPE: _new_url,
}
"""Functions that make the passed number of spans, a multiple of ten."""
