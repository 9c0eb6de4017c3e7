"""Runs a pipeline of stages with a structured trace, and without any.

Run: python examples/traced_pipeline.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import otel_ext
from otel_ext import StructuredTrace
from otel_ext.context import Failure
from otel_ext.structured import Pipeline, PipelineStage, Skipped

Order: TypeAlias = "dict[str, Any]"


class Validate(PipelineStage):
    """A stage is a class with `execute_internal`, or a function."""

    def execute_internal(self, context: Order) -> object:
        """Refuse an order without items, as a value."""
        return context if context["items"] else Failure("nothing to sell")


def discount(order: Order) -> object:
    """Skip the work if there is none: the next stage gets the same order."""
    return Skipped("no coupon") if "coupon" not in order else {**order, "percent": 10}


async def price(order: Order) -> Order:
    """Compute the total, as a coroutine."""
    return {**order, "total": sum(order["items"])}


async def main() -> None:
    """Run the same stages for three orders."""
    otel_ext.configure()
    checkout = Pipeline([Validate("validate"), discount, price], name="checkout")
    orders: list[Order] = [
        {"items": [5, 7], "trace": StructuredTrace()},
        {"items": [], "trace": StructuredTrace()},
        {"items": [3]},  # without a trace the stages run as if tracing did not exist
    ]
    for order in orders:
        result = await checkout.run_async(order)
        print(f"ok={result.ok} completed={result.completed} skipped={result.skipped}")
        trace = order.get("trace")
        if isinstance(trace, StructuredTrace):
            for root in trace.spans:
                print(
                    f"  {root.operation}:",
                    [f"{one.operation} {one.status}" for one in root.children],
                )


if __name__ == "__main__":
    asyncio.run(main())
