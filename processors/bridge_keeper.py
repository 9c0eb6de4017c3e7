"""Puts the log bridge back when the program configures `logging` again.

`dictConfig`, `basicConfig(force=True)`, Django's `setup()` and a Celery worker remove all
handlers from the root logger, the bridge included. They keep the factory of log records,
a public hook that can be chained: logging calls it before a record reaches any handler,
so the bridge is back in time for that record. See
docs/adr/0011-the-log-bridge-is-restored.md.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from otel_ext.processors.stdlib_bridge import StdlibBridge
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.runtime.worker import Job

__all__ = ["BridgeKeeper", "keep_bridge", "remove_bridge"]

_CHECK_INTERVAL: Final = 1.0
_kept: Final[dict[str, BridgeKeeper]] = {}


def keep_bridge(bridge: StdlibBridge, is_wanted: Callable[[], bool]) -> None:
    """Add `bridge` to the root logger and keep it there; it replaces an earlier one.

    Args:
        bridge: The handler.
        is_wanted: Called before a bridge that was removed is put back.
    """
    remove_bridge()
    _kept["keeper"] = BridgeKeeper(bridge, is_wanted)


def remove_bridge() -> None:
    """Remove the bridge from the root logger for good. Idempotent."""
    keeper = _kept.pop("keeper", None)
    if keeper is not None:
        keeper.stop()
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, StdlibBridge):
            root.removeHandler(handler)


class BridgeKeeper:
    """A factory of log records that puts the bridge back if it was removed.

    Where a program sets a factory of its own that does not call this one, only the check
    that the worker runs each second remains.

    Args:
        bridge: The handler; it is added to the root logger.
        is_wanted: Called before it is put back.

    >>> from otel_ext.processors.tracer_meta import TracerMetaProcessor
    >>> bridge = StdlibBridge(TracerMetaProcessor())
    >>> keeper = BridgeKeeper(bridge, lambda: True)
    >>> logging.getLogger().handlers.clear()
    >>> logging.getLogger("library").debug("not at this level")
    >>> logging.getLogger("library").warning("hello")
    >>> bridge in logging.getLogger().handlers
    True
    >>> keeper.stop()
    >>> bridge in logging.getLogger().handlers
    False
    """

    def __init__(self, bridge: StdlibBridge, is_wanted: Callable[[], bool]) -> None:
        self._root = logging.getLogger()
        self._bridge = bridge
        self._is_wanted = is_wanted
        self._stopped = False
        self._root.addHandler(bridge)
        self._make = logging.getLogRecordFactory()
        logging.setLogRecordFactory(self)
        self._job: Job = shared_worker().every(_CHECK_INTERVAL, self.restore, "log bridge")

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - as logging's
        """Return the record that the factory before this one makes."""
        if self._bridge not in self._root.handlers:
            self.restore()
        return self._make(*args, **kwargs)

    def restore(self) -> None:
        """Put the bridge back if it was removed and is still wanted; never raises."""
        try:
            if self._stopped or self._bridge in self._root.handlers or not self._is_wanted():
                return
            self._root.addHandler(self._bridge)  # at most once: logging checks under its lock
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that logs
            report_problem("the log bridge was not put back", error)

    def stop(self) -> None:
        """Remove the bridge for good; the factory stays if a later one chains to it."""
        self._stopped = True
        self._job.cancel()
        self._root.removeHandler(self._bridge)
        if logging.getLogRecordFactory() is self:
            logging.setLogRecordFactory(self._make)
