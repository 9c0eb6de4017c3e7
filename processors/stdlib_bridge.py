"""`StdlibBridge`: a `logging` handler that passes log records to structlog processors.

structlog's own events are recorded by their own chain; the bridge ignores those that
pass through `logging` as well.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from structlog.stdlib import ExtraAdder

from otel_ext.processors.printing import write_safely
from otel_ext.record.sanitise.scalars import text_of
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from structlog.typing import EventDict, Processor, ProcessorReturnValue

__all__ = ["StdlibBridge", "add_extra"]

# What a formatter of another handler leaves on a LogRecord; `extra` may not have these names.
_FORMATTED: Final = ("message", "asctime")
_MARKS: Final = ("_logger", "_name")  # what wrap_for_formatter leaves on a LogRecord
# Modules that write lines of logs and records to a standard stream. The stream may be an
# object that logs what is written to it (Celery's is), and then the line comes back here.
_PRINTERS: Final = (
    "structlog._output",
    "otel_ext.processors.printing",
    "otel_ext.exporters.console.stream",
)
_PRINTER_WITHIN: Final = 5  # the most frames of such an object
_EXTRA: Final = ExtraAdder()


def add_extra(logger: object, method_name: str, event_dict: EventDict) -> EventDict:
    """Add what the program gave as `extra`; a structlog processor.

    Args:
        logger: As structlog passes it.
        method_name: As structlog passes it.
        event_dict: The event, with its `LogRecord` under `_record`.
    """
    added = _EXTRA(cast("Any", logger), method_name, event_dict)
    for name in _FORMATTED:
        added.pop(name, None)
    return added


class StdlibBridge(logging.Handler):
    """Runs each `LogRecord` that is not structlog's through a chain of structlog processors.

    Takes no lock: a handler's lock would be held while exporters work, and the
    SDK logs while it holds locks of its own. Never raises.

    Args:
        final: The last processor, which makes and exports the record.
        write: Prints what `final` returns; None to only export.
        processors: The processors before `final`, such as `merge_contextvars`.

    >>> from otel_ext.processors.tracer_meta import TracerMetaRenderer
    >>> lines = []
    >>> bridge = StdlibBridge(TracerMetaRenderer(text=True), lines.append)
    >>> log = logging.Logger("billing")
    >>> log.addHandler(bridge)
    >>> log.warning("late by %d days", 3)
    >>> '"event":"late by 3 days"' in lines[0] and '"logger":"billing"' in lines[0]
    True
    """

    def __init__(
        self,
        final: Processor,
        write: Callable[[Any], object] | None = None,
        *,
        processors: Sequence[Processor] = (add_extra,),
    ) -> None:
        super().__init__()
        self._chain = (*processors, final)
        self._write = write

    def createLock(self) -> None:  # noqa: N802 - the name of logging's hook
        """Make no lock; see above."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Process one record; return whether the filters let it through."""
        try:
            passed = cast("object", self.filter(record))
            if passed:
                # Since 3.12 a filter may return another record.
                self.emit(passed if isinstance(passed, logging.LogRecord) else record)
            return bool(passed)
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that logs
            report_problem("StdlibBridge: a log record is lost", error)
            return False

    def emit(self, record: logging.LogRecord) -> None:
        """Make, export and print the record of a log that is not structlog's."""
        if _is_structlogs(record):
            return
        event_dict: EventDict = {
            "event": _message_of(record),
            "_record": record,
            "_from_structlog": False,
        }
        if record.exc_info:
            event_dict["exc_info"] = record.exc_info
        if record.stack_info:
            event_dict["stack"] = record.stack_info
        result: ProcessorReturnValue = event_dict
        level = text_of(record.levelname).lower()
        try:
            for processor in self._chain:
                result = processor(None, level, result)  # type: ignore[arg-type]
        except structlog.DropEvent:
            return
        if self._write is not None:
            write_safely(self._write, result)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit, or whose __str__ raises
        return str(record.msg)


def _is_structlogs(record: logging.LogRecord) -> bool:
    """Whether this log is recorded already: structlog's, or a line that this package printed."""
    if all(hasattr(record, mark) for mark in _MARKS):
        return True
    passed = 0
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to a frame
    while frame is not None and passed < _PRINTER_WITHIN:
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(("logging", __name__)):
            if module in _PRINTERS:
                return True
            if passed == 0 and (module == "structlog" or module.startswith("structlog.")):
                return True
            passed += 1
        frame = frame.f_back
    return False
