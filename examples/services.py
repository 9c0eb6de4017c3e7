"""Registers services, waits until one is ready, checks their health, and keeps tests apart.

Run: python examples/services.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import threading

import otel_ext
from otel_ext import with_span
from otel_ext.services import NotReadyError, ServiceRegistry

services = ServiceRegistry()


class Pool:
    """A pool of connections that takes a while to open."""

    def __init__(self) -> None:
        self.free = 0

    def open(self) -> None:
        """Open the connections."""
        with with_span("open the pool"):
            self.free = 3
        services.mark_ready("database")

    def check(self) -> str:
        """Return the state of the pool."""
        return "healthy" if self.free else "degraded"


def main() -> None:
    """Start a service on a thread, and use it as soon as it is ready."""
    otel_ext.configure()
    pool = Pool()
    services.register("database", pool, ready=False, health=pool.check, metadata={"host": "db-1"})
    print("at first:", services.health_check("database").detail)
    try:
        services.wait_for("databse", timeout=0.05)
    except NotReadyError as error:
        print(error)
    opening = threading.Thread(target=pool.open)
    opening.start()
    print("the pool that was registered:", services.wait_for("database", timeout=30) is pool)
    opening.join()
    print("then:", services.health_check("database").state)
    with services.namespace("test-7") as own:
        own.register("database", "a fake")
        print("in the namespace:", own.lookup("database"))
    print("names:", services.names())


if __name__ == "__main__":
    main()
