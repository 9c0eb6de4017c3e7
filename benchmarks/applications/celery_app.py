"""A Celery worker with one query in each task, and what sends the tasks, in one process.

As a program: `python -m benchmarks.applications.celery_app` with the words of `Arguments`.
"""
# pyright: basic

from __future__ import annotations

import sys
from threading import Semaphore
from time import perf_counter
from typing import Any

from celery import Celery, signals  # type: ignore[import-untyped]
from opentelemetry.instrumentation.celery import CeleryInstrumentor

from benchmarks.applications.control import answer_on
from benchmarks.applications.orders import make_orders, read_order
from benchmarks.applications.telemetry import Arguments, Telemetry
from benchmarks.figures import percentile
from benchmarks.load import CONNECTIONS, Load

__all__ = ["Sender", "make_app"]

_TIMEOUT_SECONDS = 60.0


class Sender:
    """Sends tasks, and waits for the oldest when as many are under way as a web server gets.

    Args:
        task: The task; it gets a number, and when it was sent.
    """

    def __init__(self, task: Any) -> None:  # noqa: ANN401 - Celery has no types
        self._task = task
        self._free = Semaphore(CONNECTIONS)
        self._times: list[float] = []
        self._failed = 0
        # After the instrumentation's own receiver, so that the span of the task has ended.
        signals.task_postrun.connect(self._finish, weak=False)

    def send(self, seconds: str) -> Load:
        """Send tasks for some seconds, until the last of them has ended."""
        self._times, self._failed, count = [], 0, 0
        began = perf_counter()
        while perf_counter() - began < float(seconds):
            self._wait()
            self._task.delay(count, perf_counter())
            count += 1
        for _ in range(CONNECTIONS):
            self._wait()
        elapsed = perf_counter() - began
        self._free.release(CONNECTIONS)
        times = self._times
        p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
        return Load(count, count / elapsed, p50, p99, self._failed)

    def _wait(self) -> None:
        if not self._free.acquire(timeout=_TIMEOUT_SECONDS):
            raise RuntimeError("the worker does not work")

    def _finish(self, retval: object, **_: object) -> None:
        if isinstance(retval, float):
            self._times.append((perf_counter() - retval) * 1_000)
        else:
            self._failed += 1
        self._free.release()


def make_app() -> Any:  # noqa: ANN401 - Celery has no types
    """Return the application; its broker is in memory."""
    app = Celery("shop", broker="memory://")
    # By default a worker that finds no task sleeps for a second.
    app.conf.broker_transport_options = {"polling_interval": 0.001}
    app.conf.task_ignore_result = True
    connection = make_orders()

    @app.task(name="read_order")  # type: ignore[untyped-decorator]
    def read(order: int, sent: float) -> float:
        """Read an order, and return when the task was sent."""
        read_order(connection, order)
        return sent

    return app


def main() -> int:
    """Work until a signal ends the process."""
    arguments = Arguments.parse()
    telemetry = Telemetry(arguments)
    if telemetry.is_on:
        CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    app = make_app()
    sender = Sender(app.tasks["read_order"])

    def ready(**_: object) -> None:
        answer_on(arguments.control, {"flush": telemetry.flush, "send": sender.send})

    signals.worker_ready.connect(ready, weak=False)
    options = {"without_mingle": True, "without_gossip": True, "without_heartbeat": True}
    app.Worker(pool="solo", loglevel="WARNING", quiet=True, **options).start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
