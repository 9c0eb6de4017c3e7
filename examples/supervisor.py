"""A supervisor that starts a child again after it fails, and stops all in order.

Run: python examples/supervisor.py

While it runs, `otel-ext ps --tree` shows the supervisors with their children.
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING

import otel_ext
from otel_ext.events import Event, subscribe
from otel_ext.services import Supervisor

if TYPE_CHECKING:
    from otel_ext.services import ChildContext

Orders = SimpleQueue[str]
done: SimpleQueue[str] = SimpleQueue()
restarts: SimpleQueue[Event] = SimpleQueue()


def connect(context: ChildContext) -> None:
    """Hold a connection, which the importer needs: it starts when this one is ready."""
    print("connected")
    context.ready()
    context.stopping.wait()
    print("disconnected")


def import_orders(context: ChildContext, orders: Orders) -> None:
    """Take orders; a broken one ends this life, and the next life goes on."""
    print(f"life {context.life} of {context.child} begins")
    while order := orders.get():
        done.put(str(int(order) * 2))
    print("no more orders")


def main() -> None:
    """Import three orders, of which one is broken."""
    otel_ext.configure(output="traces")
    orders: Orders = SimpleQueue()
    supervisor = Supervisor("shop", strategy="rest_for_one", max_restarts=3, within=5.0)
    supervisor.add("connection", connect, ready=10.0)
    supervisor.add("importer", import_orders, args=[orders], restart="transient")
    with subscribe("child.restarted", restarts.put, inline=True), supervisor:
        for order in ("1", "two", "3"):
            orders.put(order)
        first, second = done.get(), done.get()
        print("done:", first, second)
        print("started again after", restarts.get().metadata["error"])
        orders.put("")


if __name__ == "__main__":
    main()
