"""Makes a record from a structlog event dict, or from a `logging.LogRecord` inside one.

It reads nothing of a span but its context: the SDK logs warnings while it holds a span's
locks, and this code must not wait for them then.
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
from otel_ext.record.model import (
    EMPTY,
    UNKNOWN_CALL_SITE,
    CallSite,
    PlainAttributes,
    Record,
    ThreadInfo,
    new_record,
)
from otel_ext.record.own_code import is_own
from otel_ext.record.sanitise.scalars import text_of
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

# The file in which an executor's thread starts. structlog's `ainfo` and similar methods
# run there without the caller's frames, so the stack does not contain the call site.
_EXECUTOR_FILE: Final = os.path.join("concurrent", "futures", "thread.py")  # noqa: PTH118
_MAX_SITES: Final = 4_096
_LEVELS: Final = {"exception": "error", "fatal": "critical", "msg": "info", "warn": "warning"}

_QUALIFIED: Final[CallsiteParameter | None] = (
    getattr(CallsiteParameter, "QUAL_NAME", None) if sys.version_info >= (3, 11) else None
)
_FUNCTION: Final = _QUALIFIED or CallsiteParameter.FUNC_NAME
# The only public access to the call site that structlog stores for its async methods.
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
_call_sites: dict[tuple[object, ...], CallSite] = {}


_Origin: TypeAlias = "tuple[int, CallSite, ThreadInfo | None, TaskInfo | None]"
# parent_span_id, span_kind, scope, links, context; start_ns, status, events, abandoned.
_NO_SPAN: Final = ("", "", None, (), None)
_NOT_ENDED: Final = (0, None, (), None)


def _dead_reference() -> None:
    """Return None, like a dead weak reference."""


class LogCapture:
    """Makes the records of one structlog processor; never changes the event dict.

    Three keys move from the attributes to the record's metadata: `event`, and `level` and
    `logger` if they equal the method and the logger of the call. Every other key stays an
    attribute, `timestamp` included.

    Args:
        exceptions: A structlog processor that turns `exc_info` into `exception`.

    >>> record = LogCapture().capture(None, "info", {"event": "hello", "level": "info", "n": 1})
    >>> record.name, record.level, record.attributes
    ('hello', 'info', {'n': 1})
    """

    __slots__ = ("__weakref__", "_exceptions", "_ids", "_next_seq", "_process")

    def __init__(self, exceptions: Processor = format_exc_info) -> None:
        self._exceptions = exceptions
        self._ids: tuple[Callable[[], Context | None], str, str] = (_dead_reference, "", "")
        self._process: Process | None = None
        self._next_seq: Callable[[], int]
        after_fork_in_child(self.reset)

    def reset(self) -> None:
        """Forget the process, in a forked child; only swaps objects."""
        self._process = None

    def capture(self, logger: object, method_name: str, event_dict: EventDict) -> Record:
        """Return the record of one log call.

        Only a processor's `__call__` may call it: the search for the call site begins at
        the caller of that method.

        Args:
            logger: The wrapped logger; its `name` is taken if it has one.
            method_name: The name of the log method, such as `info`.
            event_dict: The event dict that structlog passes to processors.
        """
        check_process()
        process = self._process or self._identify()
        fields: dict[str, object] = PlainAttributes(event_dict)
        name = fields.pop("event", "")
        if type(name) is not str:
            name = _name_of(name, fields)
        if "exc_info" in fields:
            fields = PlainAttributes(self._with_exception(fields, logger, method_name))
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
            time, call_site, thread, task = _origin_of(source)
        # Positional: keyword arguments cost as much as all the rest of this method.
        head = ("log", None, name, time, self._next_seq(), process, call_site, fields)
        ids = (trace_id, span_id, *_NO_SPAN)
        made = (*head, *ids, thread, task, *_NOT_ENDED, level, logger_name, EMPTY)
        return new_record(Record, made)

    def _identify(self) -> Process:
        current = incarnation.current()
        self._next_seq = current.next_seq
        found = self._process = current.process_for(None)
        return found

    def _ids_in(self, context: Context) -> tuple[str, str]:
        """Return trace id and span id of the current span, and cache them for the next log.

        A context never changes. The cache holds it weakly, because it holds the span.
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
        """Return `fields` with `exc_info` as text; only the type if that fails."""
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
    """Whether instrumentation is suppressed here, as by the SDK while it exports.

    What libraries log there is about the export itself; exporting it would cause another
    export, without end.
    """
    context = get_current()
    # By its start: the key ends in a random suffix.
    return any(context[key] for key in context if key.startswith(_SUPPRESS))


def _name_of(event: object, fields: dict[str, object]) -> str:
    """Return the text of an event that is not a `str`; its value becomes an attribute."""
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
    """Return the level and the logger's name, and delete the keys that only repeat them."""
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
    """Whether this thread made the log call; with a `QueueListener` another one did."""
    return source.thread == threading.get_ident()


def _thread_of(source: logging.LogRecord) -> ThreadInfo | None:
    if _is_of_this_thread(source):
        return current_thread()
    if type(source.thread) is not int:  # logging.logThreads is off, or it came from elsewhere
        return None
    return ThreadInfo(source.thread, text_of(source.threadName or ""))


def _origin_of(source: logging.LogRecord) -> _Origin:
    """Return when and where a log record of the standard library was made."""
    created: object = source.created
    is_number = isinstance(created, float) and isfinite(created)
    time = int(source.created * 1e6) * 1_000 if is_number else time_of(created)
    return time, _call_site_of(source), _thread_of(source), current_task()


def _call_site_of(source: logging.LogRecord) -> CallSite:
    """Return the line of user code that led to a library's log, else the library's line."""
    file = cast("object", source.pathname)
    if isinstance(file, str) and not is_own(file) and _is_of_this_thread(source):
        call_site = find_call_site(2)
        if call_site is not UNKNOWN_CALL_SITE:
            return call_site
    return _cached_call_site(file, source.lineno, source.funcName)


def _async_caller(
    call_site: CallSite, thread: ThreadInfo | None
) -> tuple[CallSite, ThreadInfo | None]:
    """Return where and on which thread an async log method was called.

    Args:
        call_site: Returned unchanged if no async method was called.
        thread: The executor's thread, returned if structlog stored no other.
    """
    found = _find_async_caller(None, "", {})  # type: ignore[arg-type]
    file, line = found["pathname"], found["lineno"]
    if not isinstance(file, str) or file.endswith(_EXECUTOR_FILE):
        return call_site, thread
    number, name = found["thread"], found["thread_name"]
    if thread is None or number != thread.id:
        thread = ThreadInfo(number, name)
    return _cached_call_site(file, line, found[_FUNCTION.value]), thread


def _cached_call_site(file: object, line: object, function: object) -> CallSite:
    """Return the call site, one object for all records from there."""
    # A record from another process may contain values of any type.
    key = tuple(one if type(one) in {str, int} else None for one in (file, line, function))
    call_site = _call_sites.get(key)
    if call_site is None:
        names = ("code.file.path", "code.line.number", "code.function.name")
        named: dict[str, object] = dict(zip(names, key, strict=True))
        if len(_call_sites) >= _MAX_SITES:
            _call_sites.clear()
        call_site = _call_sites[key] = call_site_from_attributes(named) or UNKNOWN_CALL_SITE
    return call_site
