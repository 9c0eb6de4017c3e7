"""Measures a Celery worker under load, without telemetry and with it in four ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from benchmarks.applications.control import ask
from benchmarks.applications.under_load import (
    METHOD,
    Application,
    Process,
    measure_under_load,
)
from benchmarks.load import CONNECTIONS, Load
from benchmarks.result import Result

if TYPE_CHECKING:
    from benchmarks.harness import Effort

__all__ = ["measure"]


def measure(effort: Effort) -> Result:
    """Put each way under the same load in turn."""
    result = Result(
        "celery_application",
        "A Celery worker under load",
        "Celery, a worker without child processes (the solo pool) and the thread that sends its"
        f" tasks, {CONNECTIONS} under way at most, in one process with a broker in memory; one"
        " SQLite query in each task, instrumented by the contrib packages for Celery and SQLite"
        " (three spans a task, with that of sending it). Latency is from sending a task to its"
        f" end.{METHOD}",
    )
    application = Application("Celery", "celery_app", "task", 3, _send_tasks)
    measure_under_load(application, effort, result)
    return result


def _send_tasks(process: Process, seconds: int) -> Load:
    return Load(*cast("list[float]", ask(process.control, "send", seconds)))  # type: ignore[arg-type]
