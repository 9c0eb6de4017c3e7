"""Measures a Django application under load, without telemetry and with it in four ways."""

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
        "django_application",
        "A Django application under load",
        "Django on gunicorn, one worker process with four threads, one query of the ORM to SQLite"
        " in each request, instrumented by the contrib packages for Django and SQLite (two spans"
        f" a request). Another process sends the load ({generator()}, {CONNECTIONS}"
        f" connections).{METHOD}",
    )
    application = Application("Django", "django_app", "request", 2, send_requests)
    measure_under_load(application, effort, result)
    return result
