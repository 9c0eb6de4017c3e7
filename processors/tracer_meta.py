"""Structlog processors that put logs into the same format and stream as spans.

They differ in what is printed:

- `TracerMetaProcessor` returns the event dict in the nested format, for a
  renderer that follows;
- `TracerMetaRenderer` ends the chain with the encoded line itself, faster, and
  with a defined encoding for values that JSON cannot represent;
- `TracerMetaTap` exports the record and lets another renderer print.

structlog passes exceptions of a processor to the code that logs, so each of these
catches its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from structlog.processors import format_exc_info

from otel_ext.processors.log_recorder import FORMATTER_KEYS, LogRecorder, TracerMeta, user_keys
from otel_ext.record.codec import encode_compat_line, encode_line
from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.values import SHIELDED_META_KEY, encode_object
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, ProcessorReturnValue

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["TracerMetaProcessor", "TracerMetaRenderer", "TracerMetaTap"]


# Printed when redaction is on but fails.
_LOST: Final = {"event": "[redacted: error]"}


class TracerMetaProcessor(LogRecorder):
    """Exports each log as a record and nests its metadata under `__tracer_meta__`.

    Put it before the renderer and after the processors that add keys. A `JSONRenderer`
    after it prints the same line as in the file. If this processor fails, it returns the
    event dict unchanged and reports the problem on stderr.

    Args:
        exporter: Where the records go; None to only nest the metadata.
        compat: Whether the timestamp is put at top level too, or a function that is
            called for each log. A `timestamp` of the user wins and is counted.
        exceptions: A structlog processor that turns `exc_info` into `exception`,
            such as `structlog.processors.dict_tracebacks` for structured ones.
        redact: Removes the secrets from what is returned, such as `Redactor().redact`.

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
                self.export_once(meta, event_dict)
                return event_dict
            raw = self.capture(logger, method_name, event_dict)
            record = self._sanitise(raw)
            self.export(record, event_dict)
            # What follows may render the program's own objects in its own way.
            return self._nested(raw if self._redact is None else record, event_dict)
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that logs
            report_problem("TracerMetaProcessor: a log has no metadata", error)
            return event_dict

    def _nested(self, record: Record, event_dict: EventDict) -> EventDict:
        fields = record.attributes
        meta = TracerMeta(record, self._exporter)
        nested: dict[str, object] = {}
        if self.is_compat():
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
            nested.update((key, event_dict[key]) for key in FORMATTER_KEYS)
        return nested


class TracerMetaRenderer(LogRecorder):
    """Ends a chain with the record's line, encoded once, and exports the record.

    Replaces `add_log_level`, `TimeStamper`, `format_exc_info` and `JSONRenderer`. A value
    that JSON cannot represent is replaced; the others stay.

    Args:
        exporter: Where the records go; None to only render.
        compat: As for `TracerMetaProcessor`.
        exceptions: As for `TracerMetaProcessor`.
        redact: As for `TracerMetaProcessor`.
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
        redact: Callable[[Record], Record] | None = None,
        text: bool = False,
    ) -> None:
        super().__init__(exporter, compat=compat, exceptions=exceptions, redact=redact)
        self._text = text

    def __call__(self, logger: object, method_name: str, event_dict: EventDict) -> str | bytes:
        """Return the line without its newline."""
        try:
            meta = event_dict.get(META_KEY)
            if isinstance(meta, TracerMeta):
                record = self.export_once(meta, event_dict)
            else:
                record = self._sanitise(self.capture(logger, method_name, event_dict))
                if self._exporter is not None:
                    self.export(record, event_dict)
            is_compat = self._compat is not False and self.is_compat()
            line = self._encode_compat(record) if is_compat else encode_line(record)[:-1]
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that logs
            report_problem("TracerMetaRenderer: a log was printed without metadata", error)
            line = encode_object(user_keys(event_dict) if self._redact is None else _LOST)
        return line.decode() if self._text else line

    def _encode_compat(self, record: Record) -> bytes:
        if "timestamp" in record.attributes:
            COUNTERS.add("compat.timestamp_kept")
        return encode_compat_line(record)[:-1]

    def options(self) -> dict[str, object]:
        """Return the arguments that make a copy of this one in another process."""
        return {**super().options(), "text": self._text}


class TracerMetaTap(LogRecorder):
    """Exports each log as a record, and prints it as another renderer does.

    Put it at the end of the chain instead of that renderer. The renderer gets the
    unchanged event dict, and its exceptions pass through.

    Args:
        renderer: Any structlog renderer, such as `structlog.dev.ConsoleRenderer()`.
        exporter: Where the records go.
        exceptions: As for `TracerMetaProcessor`; only for the record.
        redact: Removes the secrets from the record.

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
        redact: Callable[[Record], Record] | None = None,
    ) -> None:
        super().__init__(exporter, exceptions=exceptions, redact=redact)
        self.renderer = renderer

    def __call__(
        self, logger: object, method_name: str, event_dict: EventDict
    ) -> ProcessorReturnValue:
        """Return what the renderer makes of `event_dict`."""
        try:
            meta = event_dict.get(META_KEY)
            if isinstance(meta, TracerMeta):
                self.export_once(meta, event_dict)
            else:
                record = self._sanitise(self.capture(logger, method_name, event_dict))
                self.export(record, event_dict)
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that logs
            report_problem("TracerMetaTap: a log record is lost", error)
        return self.renderer(logger, method_name, event_dict)

    def options(self) -> dict[str, object]:
        """Return the arguments that make a copy of this one in another process."""
        options = super().options()
        del options["compat"]
        return {"renderer": self.renderer, **options}
