"""The base class of the structlog processors: makes a record and exports it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from structlog.processors import format_exc_info

from otel_ext.processors.log_capture import LogCapture, is_suppressed
from otel_ext.record.model import FORMAT_VERSION, META_KEY
from otel_ext.record.sanitise.sanitiser import PLAIN, sanitised, sanitiser_for
from otel_ext.record.timestamps import format_ns
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.isolated_exporter import isolate
from otel_ext.runtime.listeners import LISTENERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["FORMATTER_KEYS", "LogRecorder", "TracerMeta", "user_keys"]

FORMATTER_KEYS: Final = ("_record", "_from_structlog")
"""What structlog's `ProcessorFormatter` adds to an event dict, and takes out again."""

# The recorders whose exporters run in this context; an exporter's own thread inherits it.
_busy: Final[ContextVar[tuple[object, ...]]] = ContextVar("otel_ext_log_recorders", default=())


class TracerMeta(dict[str, object]):
    """The value of `__tracer_meta__` in an event dict, with the record it was made from.

    A later processor recognises by this type that the record is made, and that the key is
    not one of the user's.
    """

    __slots__ = ("exporter", "record")

    def __init__(self, record: Record, exporter: RecordExporter | None) -> None:
        super().__init__(_meta_of(record))
        self.record = record
        self.exporter = exporter

    def __reduce__(self) -> tuple[type[dict[str, object]], tuple[dict[str, object]]]:
        return dict, (dict(self),)  # an exporter stays in its process


class LogRecorder:
    """Makes a record of each log and exports it; the base of the structlog processors."""

    def __init__(
        self,
        exporter: RecordExporter | None = None,
        *,
        compat: bool | Callable[[], bool] = False,
        exceptions: Processor = format_exc_info,
        redact: Callable[[Record], Record] | None = None,
    ) -> None:
        self._exporter = exporter
        self._target = None if exporter is None else isolate(exporter)
        self._compat: bool | Callable[[], bool] = compat
        self._exceptions = exceptions
        self._capturing = LogCapture(exceptions)
        self._redact = redact
        self._sanitise = _sanitise_by(redact, leaves_raw=sanitiser_for(exporter) is not PLAIN)
        self.capture = self._capturing.capture

    @property
    def exporter(self) -> RecordExporter | None:
        """The exporter of the records; None if they are only rendered."""
        return self._exporter

    def is_compat(self) -> bool:
        """Whether the next timestamp goes to the top level too."""
        compat = self._compat
        return compat if isinstance(compat, bool) else bool(compat())

    def export(self, record: Record, event_dict: EventDict) -> None:
        """Export `record`, except while instrumentation is suppressed or this exporter logs."""
        exporter = self._target
        if exporter is None:
            return
        if not event_dict.get("_from_structlog", True) and is_suppressed():
            COUNTERS.add("dropped.suppressed")
            return
        busy = _busy.get()
        if any(one is self for one in busy):
            COUNTERS.add("dropped.reentrant")
            return
        token = _busy.set((*busy, self))
        try:
            exporter.export(record)
        except Exception as error:  # noqa: BLE001 - an exporter may be third-party code
            COUNTERS.add("dropped.export_failed")
            report_problem(f"{type(self).__name__}: a log record is lost", error)
        finally:
            _busy.reset(token)
        if LISTENERS.active:
            LISTENERS.pass_on(record, self)

    def export_once(self, meta: TracerMeta, event_dict: EventDict) -> Record:
        """Return the record behind `meta`; export it unless this exporter already has it."""
        record = self._sanitise(meta.record._replace(attributes=user_keys(event_dict)))
        if self._exporter is not None and meta.exporter is not self._exporter:
            self.export(record, event_dict)
        return record

    def __deepcopy__(self, memo: dict[int, object]) -> LogRecorder:
        return self  # loggers are copied with their processors, and share the exporter

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        # A logger is pickled with its processors. An exporter holds files and threads and
        # stays in its process: the copy in the other process prints but does not export.
        return _rebuild, (type(self), self.options())

    def options(self) -> dict[str, object]:
        """Return the arguments that make a copy of this one in another process."""
        return {"compat": self._compat, "exceptions": self._exceptions, "redact": self._redact}


def _sanitise_by(
    redact: Callable[[Record], Record] | None, *, leaves_raw: bool
) -> Callable[[Record], Record]:
    """Return the function that makes a new record safe, and removes its secrets if wanted."""
    if redact is None:
        return (lambda record: record) if leaves_raw else PLAIN.sanitise
    return redact if leaves_raw else (lambda record: sanitised(redact(record)))


def _rebuild(kind: Callable[..., object], options: dict[str, object]) -> object:
    return kind(**options)


def _meta_of(record: Record) -> dict[str, object]:
    """Return the value of `__tracer_meta__` in the line of a log record."""
    call_site = record.call_site
    meta: dict[str, object] = {"timestamp": format_ns(record.time_ns), "event": record.name}
    if record.trace_id:
        meta["trace_id"] = record.trace_id
        meta["span_id"] = record.span_id
    meta["file"] = call_site.file
    meta["line"] = call_site.line
    meta["function"] = call_site.function
    meta["version"] = FORMAT_VERSION
    meta["kind"] = record.kind
    meta["seq"] = record.seq
    meta["process"] = record.process.id
    for key, about in (("thread", record.thread), ("task", record.task)):
        if about is not None:
            meta[key] = {"id": about.id, "name": about.name}
    if record.level:
        meta["level"] = record.level
    if record.logger:
        meta["logger"] = record.logger
    return meta


def user_keys(event_dict: EventDict) -> dict[str, object]:
    """Return the user's keys of an event dict that a processor may have extended."""
    fields = dict(event_dict)
    for key in FORMATTER_KEYS:
        fields.pop(key, None)
    meta = fields.get(META_KEY)
    if isinstance(meta, TracerMeta):
        del fields[META_KEY]
        if fields.get("timestamp") is meta["timestamp"]:  # compat mode's copy
            del fields["timestamp"]
    return fields
