"""`TraceLog`: a flat trace, a bounded list of what happened.

The interface that `StructuredTrace` extends; a program may have one of its own.
"""

from __future__ import annotations

from time import time_ns
from typing import Final, NamedTuple

from otel_ext.settings.limits import check_limit

__all__ = ["LEVELS", "TraceEntry", "TraceLog"]

LEVELS: Final = ("info", "success", "failure", "error", "step", "data")
"""The kinds of entries, and the names of the methods that add them."""

_MAX_LOGS: Final = 10_000


class TraceEntry(NamedTuple):
    """One entry of a flat trace.

    Attributes:
        type: One of `LEVELS`, or another word.
        message: What happened.
        source: Which part of the program reports it.
        data: Anything that belongs to it.
        time_ns: When, in nanoseconds since the epoch.
    """

    type: str
    message: str
    source: str = ""
    data: object = None
    time_ns: int = 0


class TraceLog:
    """A flat trace: a list of entries, without spans.

    Args:
        max_logs: How many entries it keeps; the oldest go first, and are counted.

    Raises:
        ConfigError: `max_logs` is not a positive number.

    >>> trace = TraceLog()
    >>> trace.info("loaded 12 rules", "RuleService")
    >>> trace.failure("no target", "TargetService", {"actor": 7})
    >>> [(entry.type, entry.message) for entry in trace.logs]
    [('info', 'loaded 12 rules'), ('failure', 'no target')]
    """

    def __init__(self, *, max_logs: int = _MAX_LOGS) -> None:
        check_limit("max_logs", max_logs)
        self.logs: list[TraceEntry] = []
        self.dropped_logs = 0
        self._max_logs = max_logs

    def add_log(self, type: str, message: str, source: str = "", data: object = None) -> None:  # noqa: A002 - the interface's name
        """Add an entry."""
        if len(self.logs) >= self._max_logs:
            self.dropped_logs += 1
            del self.logs[0]
        self.logs.append(TraceEntry(type, message, source, data, time_ns()))

    def info(self, message: str, source: str = "", data: object = None) -> None:
        """Add an entry about normal work."""
        self.add_log("info", message, source, data)

    def success(self, message: str, source: str = "", data: object = None) -> None:
        """Add an entry about work that has succeeded."""
        self.add_log("success", message, source, data)

    def failure(self, message: str, source: str = "", data: object = None) -> None:
        """Add an entry about work that has failed, without an exception."""
        self.add_log("failure", message, source, data)

    def error(self, message: str, source: str = "", data: object = None) -> None:
        """Add an entry about an error."""
        self.add_log("error", message, source, data)

    def step(self, message: str, source: str = "", data: object = None) -> None:
        """Add an entry about a step of the work."""
        self.add_log("step", message, source, data)

    def data(self, message: str, source: str = "", data: object = None) -> None:
        """Add an entry that shows a value."""
        self.add_log("data", message, source, data)
