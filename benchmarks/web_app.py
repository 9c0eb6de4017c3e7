"""The application that is put under load: FastAPI and SQLite with contrib instrumentations.

As a program: `python -m benchmarks.web_app WAY PORT FOLDER COLLECTOR`, where WAY is
one of none, otlp, ours, both.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import otel_ext

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_app"]

_ROWS = 1_000


def _database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL)")
    rows = [(number, f"customer {number % 97}", number * 1.5) for number in range(_ROWS)]
    cursor.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    return connection


def make_app() -> FastAPI:
    """Return the application; its database is a new one, in memory."""
    app = FastAPI()
    connection = _database()

    async def read_order(order: int) -> dict[str, object]:
        cursor = connection.cursor()
        cursor.execute("SELECT customer, total FROM orders WHERE id = ?", (order % _ROWS,))
        customer, total = cursor.fetchone()
        return {"order": order, "customer": customer, "total": total}

    add: Callable[[str], Callable[[Callable[..., object]], object]] = app.get
    add("/orders/{order}")(read_order)
    return app


def _instrument(way: str, folder: str, collector: str) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    trace.set_tracer_provider(provider)
    if way in {"otlp", "both"}:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        exporter = OTLPSpanExporter(endpoint=f"http://{collector}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
    if way in {"ours", "both"}:
        otel_ext.configure(output=folder, console="off")
    SQLite3Instrumentor().instrument()


def main() -> int:
    """Serve until a signal ends the process."""
    way, port, folder, collector = sys.argv[1:]
    if way != "none":
        _instrument(way, folder, collector)
    app = make_app()
    if way != "none":
        FastAPIInstrumentor.instrument_app(app)
    uvicorn.run(app, port=int(port), log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
