"""Makes a record from a structlog event dict, or from a `logging.LogRecord` inside one.

Nothing here touches a span beyond its context: the SDK writes warnings while it
holds a span's locks, and a log call made there must not ask for them again.
"""

from __future__ import annotations

import os
import sys
import threading
from math import isfinite
from time import time_ns
from typing import TYPE_CHECKING, Final, TypeAlias, cast
from weakref import ref

from opentelemetry import trace
from opentelemetry.context import get_current
from structlog.processors import CallsiteParameter, CallsiteParameterAdder, format_exc_info

from otel_ext.record.call_site import call_site_from_attributes, find_call_site
from otel_ext.record.capture import current_task, current_thread, here
from otel_ext.record.model import EMPTY, UNKNOWN_CALL_SITE, CallSite, Record, ThreadInfo
from otel_ext.record.own_code import is_own
from otel_ext.record.sanitise.cleaning import text_of
from otel_ext.record.untyped import time_of
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from opentelemetry.context import Context
    from structlog.typing import EventDict, Processor

    from otel_ext.record.model import Process, TaskInfo

__all__ = ["LogCapture", "is_suppressed"]

# Where a thread of an executor begins. structlog's `ainfo` and its like run there,
# with nothing of the caller's on the stack, so their place is unknown at first.
_EXECUTOR_FILE: Final = os.path.join("concurrent", "futures", "thread.py")  # noqa: PTH118
_MAX_SITES: Final = 4_096
_LEVELS: Final = {"exception": "error", "fatal": "critical", "msg": "info", "warn": "warning"}

_QUALIFIED: Final[CallsiteParameter | None] = (
    getattr(CallsiteParameter, "QUAL_NAME", None) if sys.version_info >= (3, 11) else None
)
_FUNCTION: Final = _QUALIFIED or CallsiteParameter.FUNC_NAME
# The one public way to what structlog notes for its async methods.
_find_async_caller: Final = CallsiteParameterAdder(
    {
        CallsiteParameter.PATHNAME,
        CallsiteParameter.LINENO,
        CallsiteParameter.THREAD,
        CallsiteParameter.THREAD_NAME,
        _FUNCTION,
    },
)
_SUPPRESS: Final = "suppress_instrumentation"
# What Record(...) comes to, without its naming of 23 arguments: a third of the cost.
_new: Final = cast("Callable[[type[Record], tuple[object, ...]], Record]", vars(tuple)["__new__"])
_call_sites: dict[tuple[object, ...], CallSite] = {}


_Moment: TypeAlias = "tuple[int, CallSite, ThreadInfo | None, TaskInfo | None]"
# parent_span_id, span_kind, scope, links; start_ns, status, events, abandoned.
_NO_SPAN: Final = ("", "", None, ())
_NOT_ENDED: Final = (0, None, (), None)


def _nothing() -> None:
    """Stand in for a weak reference that is dead."""


class LogCapture:
    """Makes the records of one structlog processor; never changes the event dict.

    What structlog's own processors put beside the user's keys moves into the
    record: `event`, and `level` and `logger` where they say what the call itself
    says. Every other key stays the user's, `timestamp` included.

    Args:
        exceptions: A structlog processor that turns `exc_info` into `exception`.

    >>> record = LogCapture().capture(None, "info", {"event": "hello", "level": "info", "n": 1})
    >>> record.name, record.level, record.attributes
    ('hello', 'info', {'n': 1})
    """

    __slots__ = ("__weakref__", "_exceptions", "_ids", "_next_seq", "_process")

    def __init__(self, exceptions: Processor = format_exc_info) -> None:
        self._exceptions = exceptions
        self._ids: tuple[Callable[[], Context | None], str, str] = (_nothing, "", "")
        self._process: Process | None = None
        self._next_seq: Callable[[], int]
        after_fork_in_child(self.reset)

    def reset(self) -> None:
        """Go on as another process; only swaps objects."""
        self._process = None

    def capture(self, logger: object, method_name: str, event_dict: EventDict) -> Record:
        """Return the record of one log call.

        Called by a processor's own `__call__`: the search for the call site begins
        at the caller of that.

        Args:
            logger: The wrapped logger; its `name` is taken if it has one.
            method_name: The name of the log method, such as `info`.
            event_dict: What structlog hands to processors.
        """
        check_process()
        process = self._process or self._identify()
        fields: dict[str, object] = dict(event_dict)
        name = fields.pop("event", "")
        if type(name) is not str:
            name = _name_of(name, fields)
        if "exc_info" in fields:
            fields = self._with_exception(fields, logger, method_name)
        source: logging.LogRecord | None = None
        if "_from_structlog" in fields:  # the mark of ProcessorFormatter
            source = cast("logging.LogRecord | None", fields.pop("_record", None))
            fields.pop("_from_structlog")
        level, logger_name = _take_level_and_logger(fields, source or logger, method_name)
        context = get_current()
        trace_id = span_id = ""
        if context:
            known, trace_id, span_id = self._ids
            if known() is not context:
                trace_id, span_id = self._ids_in(context)
        thread: ThreadInfo | None
        if source is None or (event_dict["_from_structlog"] and _is_of_this_thread(source)):
            time, (call_site, thread, task) = time_ns(), here(3)
            if call_site is UNKNOWN_CALL_SITE:
                call_site, thread = _async_caller(call_site, thread)
        else:
            time, call_site, thread, task = _there(source)
        # The fields in their order: a call with keywords costs as much as all the rest.
        head = ("log", None, name, time, self._next_seq(), process, call_site, fields)
        ids = (trace_id, span_id, *_NO_SPAN)
        return _new(Record, (*head, *ids, thread, task, *_NOT_ENDED, level, logger_name, EMPTY))

    def _identify(self) -> Process:
        current = incarnation.current()
        self._next_seq = current.next_seq
        found = self._process = current.process_for(None)
        return found

    def _ids_in(self, context: Context) -> tuple[str, str]:
        """Return trace id and span id of the current span, and keep them for the next log.

        A context never changes. It is held weakly, for it holds the span.
        """
        span = trace.get_current_span(context).get_span_context()
        trace_id = span_id = ""
        if span.is_valid:
            trace_id = trace.format_trace_id(span.trace_id)
            span_id = trace.format_span_id(span.span_id)
        self._ids = (ref(context), trace_id, span_id)
        return trace_id, span_id

    def _with_exception(
        self, fields: dict[str, object], logger: object, method_name: str
    ) -> dict[str, object]:
        """Return `fields` with `exc_info` rendered; an exception that resists is named."""
        error = fields["exc_info"]
        if error is True:
            error = sys.exc_info()[1]
        try:
            return cast("dict[str, object]", self._exceptions(logger, method_name, fields))
        except Exception:  # noqa: BLE001 - the user's exception, and maybe the user's formatter
            fields.pop("exc_info", None)
            if isinstance(error, tuple):
                error = cast("tuple[object, ...]", error)[1]
            fields["exception"] = f"<unprintable: {type(error).__name__}>"
            return fields


def is_suppressed() -> bool:
    """Whether telemetry is switched off here, as the SDK does while it exports.

    What libraries log there speaks of the export itself; exported too, it would
    beget the next export, without end. The key has a random tail.
    """
    context = get_current()
    return any(context[key] for key in context if key.startswith(_SUPPRESS))


def _name_of(event: object, fields: dict[str, object]) -> str:
    """Return the text of an event that is not text; the value itself stays a user's key."""
    if isinstance(event, str):
        return str.__str__(event)
    fields["event"] = event
    try:
        return str.__str__(str(event))
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything
        return f"<unprintable: {type(event).__name__}>"


def _take_level_and_logger(
    fields: dict[str, object], named: object, method_name: str
) -> tuple[str, str]:
    """Return level and logger's name; keys that only repeat them are structlog's and go."""
    level = _LEVELS.get(method_name, method_name)
    found = fields.get("level")
    if type(found) is str and found == level:
        del fields["level"]
    name: object = getattr(named, "name", "")
    if type(name) is not str:
        return level, ""
    found = fields.get("logger")
    if type(found) is str and found == name:
        del fields["logger"]
    return level, name


def _is_of_this_thread(source: logging.LogRecord) -> bool:
    """Whether the log call is still on this stack; a `QueueListener` has another."""
    return source.thread == threading.get_ident()


def _thread_of(source: logging.LogRecord) -> ThreadInfo | None:
    if _is_of_this_thread(source):
        return current_thread()
    if type(source.thread) is not int:  # logging.logThreads is off, or it came from elsewhere
        return None
    return ThreadInfo(source.thread, text_of(source.threadName or ""))


def _there(source: logging.LogRecord) -> _Moment:
    """Return when and where a log record of the standard library was made."""
    created: object = source.created
    is_number = isinstance(created, float) and isfinite(created)
    time = int(source.created * 1e6) * 1_000 if is_number else time_of(created)
    return time, _place_of(source), _thread_of(source), current_task()


def _place_of(source: logging.LogRecord) -> CallSite:
    """Return the line of the user's own that made a library log, else the library's line."""
    file = cast("object", source.pathname)
    if isinstance(file, str) and not is_own(file) and _is_of_this_thread(source):
        call_site = find_call_site(2)
        if call_site is not UNKNOWN_CALL_SITE:
            return call_site
    return _site_of(file, source.lineno, source.funcName)


def _async_caller(
    call_site: CallSite, thread: ThreadInfo | None
) -> tuple[CallSite, ThreadInfo | None]:
    """Return where and on which thread an async log method was called.

    Args:
        call_site: What the stack says, for calls that were none of an async method.
        thread: The thread of the executor, kept where structlog noted no other.
    """
    found = _find_async_caller(None, "", {})  # type: ignore[arg-type]
    file, line = found["pathname"], found["lineno"]
    if not isinstance(file, str) or file.endswith(_EXECUTOR_FILE):
        return call_site, thread
    number, name = found["thread"], found["thread_name"]
    if thread is None or number != thread.id:
        thread = ThreadInfo(number, name)
    return _site_of(file, line, found[_FUNCTION.value]), thread


def _site_of(file: object, line: object, function: object) -> CallSite:
    """Return the place, described once for all records from there."""
    # A record that came from another process may hold anything.
    key = tuple(one if type(one) in {str, int} else None for one in (file, line, function))
    call_site = _call_sites.get(key)
    if call_site is None:
        names = ("code.file.path", "code.line.number", "code.function.name")
        named: dict[str, object] = dict(zip(names, key, strict=True))
        if len(_call_sites) >= _MAX_SITES:
            _call_sites.clear()
        call_site = _call_sites[key] = call_site_from_attributes(named) or UNKNOWN_CALL_SITE
    return call_site
