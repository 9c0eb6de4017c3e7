"""Measures a FastAPI application under load, without telemetry and with it in four ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.applications.under_load import (
    METHOD,
    Application,
    measure_under_load,
    send_requests,
)
from benchmarks.load import CONNECTIONS, generator
from benchmarks.result import Result

if TYPE_CHECKING:
    from benchmarks.harness import Effort

__all__ = ["measure"]


def measure(effort: Effort) -> Result:
    """Put each way under the same load in turn."""
    result = Result(
        "application",
        "A FastAPI application under load",
        "FastAPI on uvicorn, one process, one SQLite query in each request, instrumented by the"
        " contrib packages for FastAPI and SQLite (four spans a request). Another process sends"
        f" the load ({generator()}, {CONNECTIONS} connections).{METHOD}",
    )
    application = Application("FastAPI", "fastapi_app", "request", 4, send_requests)
    measure_under_load(application, effort, result)
    return result
