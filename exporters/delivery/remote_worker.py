"""The worker whose thread sends to all remote destinations that have none of their own."""

from __future__ import annotations

from typing import Final

from otel_ext.runtime.worker import Worker

__all__ = ["REMOTE_WORKER_NAME", "remote_worker"]

REMOTE_WORKER_NAME: Final = "otel-ext-remote"


_shared: Final[dict[str, Worker]] = {}


def remote_worker() -> Worker:
    """Return the worker whose thread sends to all remote destinations.

    >>> remote_worker() is remote_worker()
    True
    """
    found = _shared.get("worker")
    return found if found is not None else _shared.setdefault("worker", Worker(REMOTE_WORKER_NAME))
