"""A FastAPI application with one query in each request, served by uvicorn.

As a program: `python -m benchmarks.applications.fastapi_app` with the words of `Arguments`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

from benchmarks.applications.control import answer_on
from benchmarks.applications.orders import make_orders, read_order
from benchmarks.applications.telemetry import Arguments, Telemetry

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["make_app"]


def make_app() -> FastAPI:
    """Return the application; its database is a new one, in memory."""
    app = FastAPI()
    connection = make_orders()

    async def answer(order: int) -> dict[str, object]:
        return read_order(connection, order)

    add: Callable[[str], Callable[[Callable[..., object]], object]] = app.get
    add("/orders/{order}")(answer)
    return app


class _Server(uvicorn.Server):
    """Answers questions once it listens."""

    def __init__(self, config: uvicorn.Config, control: int, telemetry: Telemetry) -> None:
        super().__init__(config)
        self._control = control
        self._telemetry = telemetry

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        answer_on(self._control, {"flush": self._telemetry.flush})


def main() -> int:
    """Serve until a signal ends the process."""
    arguments = Arguments.parse()
    telemetry = Telemetry(arguments)
    app = make_app()
    if telemetry.is_on:
        FastAPIInstrumentor.instrument_app(app)
    config = uvicorn.Config(app, port=arguments.port, log_level="warning", access_log=False)
    _Server(config, arguments.control, telemetry).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
