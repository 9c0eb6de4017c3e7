"""Structlog processors that put logs into the same format and stream as spans.

Three forms of one thing, by what should be printed:

- `TracerMetaProcessor` returns the event dict in the nested format, for a
  renderer that follows;
- `TracerMetaRenderer` ends the chain with the encoded line itself, quicker, and
  with a defined encoding for values that JSON cannot take;
- `TracerMetaTap` exports the record and leaves what is printed to another renderer.

structlog hands whatever a processor raises to the code that logs, so each of
them ends in a guard.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, cast

import orjson
from structlog.processors import format_exc_info

from otel_ext.processors.log_capture import LogCapture
from otel_ext.record.codec import encode_compat_line, encode_line
from otel_ext.record.model import FORMAT_VERSION, META_KEY
from otel_ext.record.timestamps import format_ns
from otel_ext.record.values import SHIELDED_META_KEY, encode_object
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, ProcessorReturnValue

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["TracerMeta", "TracerMetaProcessor", "TracerMetaRenderer", "TracerMetaTap"]

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_FORMATTER_KEYS: Final = ("_record", "_from_structlog")


class _Busy(threading.local):
    """Whether this thread is inside an exporter that was called from here."""

    value = False


class TracerMeta(dict[str, object]):
    """The value of `__tracer_meta__` in an event dict, with the record it was made from.

    Its type tells a later processor that the work is done, and from a key of the
    same name that is the user's.
    """

    __slots__ = ("exporter", "record")

    def __init__(self, record: Record, exporter: RecordExporter | None) -> None:
        super().__init__(_meta_of(record))
        self.record = record
        self.exporter = exporter

    def __reduce__(self) -> tuple[type[dict[str, object]], tuple[dict[str, object]]]:
        return dict, (dict(self),)  # an exporter stays in its process


class _Recorder:
    """What the processors share: making a record, and exporting it under guard."""

    _name = "structlog"

    def __init__(
        self,
        exporter: RecordExporter | None = None,
        *,
        compat: bool | Callable[[], bool] = False,
        exceptions: Processor = format_exc_info,
    ) -> None:
        self._exporter = exporter
        self._compat: bool | Callable[[], bool] = compat
        self._exceptions = exceptions
        self._capturing = LogCapture(exceptions)
        self._capture = self._capturing.capture
        self._busy = _Busy()
        after_fork_in_child(self._begin_anew)

    def _begin_anew(self) -> None:
        self._busy = _Busy()

    def _is_compat(self) -> bool:
        compat = self._compat
        return compat if isinstance(compat, bool) else bool(compat())

    def _export(self, record: Record) -> None:
        """Hand `record` to the exporter; a log of the exporter's own is not exported."""
        exporter = self._exporter
        if exporter is None:
            return
        busy = self._busy
        if busy.value:
            COUNTERS.add("dropped.reentrant")
            return
        busy.value = True
        try:
            exporter.export(_detached(record, exporter))
        except Exception as error:  # noqa: BLE001 - an exporter may be anybody's
            COUNTERS.add("dropped.export_failed")
            report_problem(f"{type(self).__name__}: a log record is lost", error)
        finally:
            busy.value = False

    def _export_once(self, meta: TracerMeta, event_dict: EventDict) -> Record:
        """Return the record behind `meta`; exports it if that was not done to the same place."""
        record = meta.record._replace(attributes=_user_keys(event_dict))
        if self._exporter is not None and meta.exporter is not self._exporter:
            self._export(record)
        return record

    def __deepcopy__(self, memo: dict[int, object]) -> _Recorder:
        return self  # loggers are copied with their processors, and share the exporter

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        # A logger is pickled with its processors. Whatever holds files or threads
        # stays in its process: the copy in the other one prints and does not export.
        return _rebuild, (type(self), self._options())

    def _options(self) -> dict[str, object]:
        return {"compat": self._compat, "exceptions": self._exceptions}


def _rebuild(kind: Callable[..., object], options: dict[str, object]) -> object:
    return kind(**options)


class TracerMetaProcessor(_Recorder):
    """Exports each log as a record and nests its metadata under `__tracer_meta__`.

    Goes before the renderer, behind the processors that add keys. A `JSONRenderer`
    behind it prints the line that the file has. On any failure of its own the
    event dict passes on unchanged, and the problem is reported once on stderr.

    Args:
        exporter: Where the records go; None to only nest the metadata.
        compat: Whether the timestamp is put at top level too, or a function that is
            asked for each log. A `timestamp` of the user's own wins and is counted.
        exceptions: A structlog processor that turns `exc_info` into `exception`,
            such as `structlog.processors.dict_tracebacks` for structured ones.

    >>> import structlog
    >>> chain = [TracerMetaProcessor(), structlog.processors.JSONRenderer()]
    >>> log = structlog.wrap_logger(structlog.ReturnLogger(), processors=chain)
    >>> log.info("stored", order={"id": 7})[:33], log.info("stored", n=1)[-8:]
    ('{"__tracer_meta__": {"timestamp":', ' "n": 1}')
    """

    def __call__(self, logger: object, method_name: str, event_dict: EventDict) -> EventDict:
        """Return `event_dict` in the nested format."""
        try:
            meta = event_dict.get(META_KEY)
            if isinstance(meta, TracerMeta):
                self._export_once(meta, event_dict)
                return event_dict
            record = self._capture(logger, method_name, event_dict)
            self._export(record)
            return self._nested(record, event_dict)
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that logs
            report_problem("TracerMetaProcessor: a log passed on without metadata", error)
            return event_dict

    def _nested(self, record: Record, event_dict: EventDict) -> EventDict:
        fields = record.attributes
        meta = TracerMeta(record, self._exporter)
        nested: dict[str, object] = {}
        if self._is_compat():
            if "timestamp" in fields:
                COUNTERS.add("compat.timestamp_kept")
            else:
                nested["timestamp"] = meta["timestamp"]
        nested[META_KEY] = meta
        nested.update(fields)
        if META_KEY in fields:
            nested[META_KEY] = meta
            nested[SHIELDED_META_KEY] = fields[META_KEY]
        if "_from_structlog" in event_dict:
            nested.update((key, event_dict[key]) for key in _FORMATTER_KEYS)
        return nested


class TracerMetaRenderer(_Recorder):
    """Ends a chain with the record's line, encoded once, and exports the record.

    Takes the place of `add_log_level`, `TimeStamper`, `format_exc_info` and
    `JSONRenderer`. Values that JSON cannot take lose only themselves.

    Args:
        exporter: Where the records go; None to only render.
        compat: As for `TracerMetaProcessor`.
        exceptions: As for `TracerMetaProcessor`.
        text: Whether to return `str` (for `PrintLogger`, `WriteLogger`, the standard
            library, and `ProcessorFormatter`) instead of `bytes` (for `BytesLogger`).

    >>> import structlog
    >>> log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[TracerMetaRenderer()])
    >>> log.info("stored", order={"id": 7})[-19:]
    b'},"order":{"id":7}}'
    """

    def __init__(
        self,
        exporter: RecordExporter | None = None,
        *,
        compat: bool | Callable[[], bool] = False,
        exceptions: Processor = format_exc_info,
        text: bool = False,
    ) -> None:
        super().__init__(exporter, compat=compat, exceptions=exceptions)
        self._text = text

    def __call__(self, logger: object, method_name: str, event_dict: EventDict) -> str | bytes:
        """Return the line without its newline."""
        try:
            meta = event_dict.get(META_KEY)
            if isinstance(meta, TracerMeta):
                record = self._export_once(meta, event_dict)
            else:
                record = self._capture(logger, method_name, event_dict)
                self._export(record)
            line = self._encode(record)
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that logs
            report_problem("TracerMetaRenderer: a log was printed without metadata", error)
            line = encode_object(_user_keys(event_dict))
        return line.decode() if self._text else line

    def _encode(self, record: Record) -> bytes:
        if not self._is_compat():
            return encode_line(record)[:-1]
        if "timestamp" in record.attributes:
            COUNTERS.add("compat.timestamp_kept")
        return encode_compat_line(record)[:-1]

    def _options(self) -> dict[str, object]:
        return {**super()._options(), "text": self._text}


class TracerMetaTap(_Recorder):
    """Exports each log as a record, and prints it as another renderer does.

    Ends a chain in the place of that renderer, which gets the event dict as if
    nothing stood before it; what the renderer raises is not touched either.

    Args:
        renderer: Any structlog renderer, such as `structlog.dev.ConsoleRenderer()`.
        exporter: Where the records go.
        exceptions: As for `TracerMetaProcessor`; only for the record.

    >>> import structlog
    >>> tap = TracerMetaTap(structlog.processors.KeyValueRenderer())
    >>> structlog.wrap_logger(structlog.ReturnLogger(), processors=[tap]).info("stored", n=1)
    "n=1 event='stored'"
    """

    def __init__(
        self,
        renderer: Processor,
        exporter: RecordExporter | None = None,
        *,
        exceptions: Processor = format_exc_info,
    ) -> None:
        super().__init__(exporter, exceptions=exceptions)
        self.renderer = renderer

    def __call__(
        self, logger: object, method_name: str, event_dict: EventDict
    ) -> ProcessorReturnValue:
        """Return what the renderer makes of `event_dict`."""
        try:
            meta = event_dict.get(META_KEY)
            if isinstance(meta, TracerMeta):
                self._export_once(meta, event_dict)
            else:
                self._export(self._capture(logger, method_name, event_dict))
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that logs
            report_problem("TracerMetaTap: a log record is lost", error)
        return self.renderer(logger, method_name, event_dict)

    def _options(self) -> dict[str, object]:
        return {"renderer": self.renderer, "exceptions": self._exceptions}


def _meta_of(record: Record) -> dict[str, object]:
    """Return what the line of a log record has under `__tracer_meta__`."""
    site = record.site
    meta: dict[str, object] = {"timestamp": format_ns(record.time_ns), "event": record.name}
    if record.trace_id:
        meta["trace_id"] = record.trace_id
        meta["span_id"] = record.span_id
    meta["file"] = site.file
    meta["line"] = site.line
    meta["function"] = site.function
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


def _user_keys(event_dict: EventDict) -> dict[str, object]:
    """Return what is the user's in an event dict that may have been through here."""
    fields = dict(event_dict)
    for key in _FORMATTER_KEYS:
        fields.pop(key, None)
    meta = fields.get(META_KEY)
    if isinstance(meta, TracerMeta):
        del fields[META_KEY]
        if fields.get("timestamp") is meta["timestamp"]:  # compat mode's copy
            del fields["timestamp"]
    return fields


def _detached(record: Record, exporter: RecordExporter) -> Record:
    """Return `record` so that it can wait in a queue while the user's objects change.

    An exporter of lines encodes within the call and needs no copy.
    """
    fields = record.attributes
    if hasattr(exporter, "export_as") or _PLAIN.issuperset(map(type, fields.values())):
        return record
    copied = cast("dict[str, object]", orjson.loads(encode_object(fields)))
    return record._replace(attributes=copied)
