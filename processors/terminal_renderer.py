"""`TerminalRenderer`: renders the logs of `configure_structlog` for a terminal."""

from __future__ import annotations

from sys import maxsize
from typing import TYPE_CHECKING

import structlog
from structlog.processors import TimeStamper, format_exc_info

from otel_ext.processors.log_recorder import FORMATTER_KEYS, user_keys
from otel_ext.record.sanitise.values import encode_object
from otel_ext.runtime.guard import report_problem
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, ProcessorReturnValue

__all__ = ["TerminalRenderer"]


class TerminalRenderer:
    r"""Renders an event for a terminal, with time and colors.

    What a terminal would obey in a key, a value, the event or its exception is made visible.

    Args:
        hidden: Returns True if the terminal shows the same log by another way.
        text: Whether to return `str` instead of `bytes`.

    >>> render = TerminalRenderer()
    >>> "tidy\\x1b[2J" in render(None, "info", {"event": "tidy\x1b[2J", "level": "info"})
    True
    """

    def __init__(self, hidden: Callable[[], bool] | None = None, *, text: bool = True) -> None:
        self._hidden = hidden
        self._text = text
        self._stamp = TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False)
        self._render = structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback
        )

    def __call__(
        self, logger: object, method_name: str, event_dict: EventDict
    ) -> ProcessorReturnValue:
        """Return the line, or drop the event if the terminal shows it already."""
        if self._hidden is not None and self._hidden():
            raise structlog.DropEvent
        try:
            line = self._line(logger, method_name, event_dict)
        except Exception as error:  # noqa: BLE001 - a value's own __repr__ may raise anything
            report_problem("a log was printed as JSON", error)
            line = encode_object(user_keys(event_dict)).decode()
        return line if self._text else line.encode("utf-8", "replace")

    def _line(self, logger: object, method_name: str, event_dict: EventDict) -> str:
        for key in FORMATTER_KEYS:
            event_dict.pop(key, None)
        if "timestamp" not in event_dict:
            event_dict = self._stamp(logger, method_name, event_dict)
        # A copy: rendering removes keys, and on a failure `__call__` needs all of them.
        event_dict = format_exc_info(logger, method_name, dict(event_dict))
        safe = {printable(key, maxsize): _safe(key, value) for key, value in event_dict.items()}
        return self._render(logger, method_name, safe)


class _Shown:
    """A value whose `str` and `repr`, by which structlog shows it, are safe to print."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return printable(str(self._value), maxsize)

    def __repr__(self) -> str:
        return printable(repr(self._value), maxsize)


def _safe(key: str, value: object) -> object:
    """Return the value of a key of an event as `ConsoleRenderer` may have it."""
    if value is None:
        return None  # structlog leaves out an exception or stack that is None
    if key in {"event", "exception", "stack"}:
        lines = str(value).expandtabs().split("\n")  # only these stay several lines
        return "\n".join(printable(line, maxsize) for line in lines)
    if key == "level" and isinstance(value, str):
        return printable(value, maxsize)  # structlog measures it
    # A printable text as it is, since structlog decides whether it needs quotes.
    return value if isinstance(value, str) and value.isprintable() else _Shown(value)
