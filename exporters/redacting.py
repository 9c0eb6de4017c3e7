"""`RedactingExporter`: removes secrets from records before another exporter gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext._accel import bind
from otel_ext.exporters.jsonl import JsonlExporter
from otel_ext.protocols import LineExporter
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Record
from otel_ext.redaction.redactor import Redactor
from otel_ext.runtime.deadline import has_room, shutdown_by
from otel_ext.runtime.exporter_check import check_exporter, prepare_first_line
from otel_ext.runtime.process.records import PROCESS_START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.protocols import Encoding, RecordExporter
    from otel_ext.record.model import Process

__all__ = ["RedactingExporter"]

_MAX_ENCODINGS: Final = 64


class RedactingExporter:
    r"""Removes the secrets from each record, then passes it to `inner`.

    Lines that an exporter writes by itself (the facts of the process, the open spans)
    are redacted too: they go through the encoding that this exporter passes on.

    Args:
        inner: Where the records go.
        redactor: What is redacted; by default the safe list. Exporters that share a
            redactor redact each record once.

    Raises:
        ConfigError: `inner` is not an exporter.

    >>> import io
    >>> from otel_ext.exporters import ConsoleExporter
    >>> from otel_ext.record.model import Process, Record
    >>> stream = io.StringIO()
    >>> exporter = RedactingExporter(ConsoleExporter(stream, style="json"))
    >>> secret = {"password": "hunter2"}
    >>> exporter.export(Record("log", None, "login", 0, 1, Process("p"), attributes=secret))
    >>> stream.getvalue()[-36:]
    ',"password":"[redacted: password]"}\n'
    """

    export_as: Callable[[Record, Encoding], None]
    """Exists only around an exporter of lines."""

    def __init__(self, inner: RecordExporter, redactor: Redactor | None = None) -> None:
        check_exporter("RedactingExporter", inner)
        self._inner = inner
        self._redactor = redactor or Redactor()
        self._redact = self._redactor.redact
        self._encodings: dict[Encoding, Encoding] = {}
        # A callback is the user's code and may start spans.
        inner_never_starts_spans = getattr(inner, "never_starts_spans", False) is True
        self.never_waits = getattr(inner, "never_waits", False) is True
        self.never_starts_spans = inner_never_starts_spans and not self._redactor.has_callback
        self._lines = inner if isinstance(inner, LineExporter) else None
        if self._lines is not None:
            # A wrapper around this exporter chooses the encoding, as it would for `inner`.
            self.export_as = self._export_line

    def export(self, record: Record) -> None:
        """Pass one record on, without secrets."""
        if self._lines is not None:
            self._export_line(record, encode_line)
        else:
            self._inner.export(self._redact(record))

    @property
    def fast_export(self) -> Callable[[Record], None]:
        """`export`, compiled if the extension was built; it behaves as the method does."""
        parts, inner = self._redactor.prefilter_parts, self._inner
        usual = type(self).export is RedactingExporter.export and type(inner) is JsonlExporter
        if parts is None or not usual:
            return self.export
        return bind("bind_plain", (inner, parts, self.export), self.export)

    def learn_open_records(self, open_records: Callable[[], Iterable[Record]]) -> None:
        """Pass `open_records` on to `inner`, which writes them in the encoding of its records."""
        learn = getattr(type(self._inner), "learn_open_records", None)
        if learn is not None and type(self).export is RedactingExporter.export:
            learn(self._inner, open_records)

    def prepare_first_line(self, process: Process, encoding: Encoding = encode_line) -> None:
        """Let `inner` prepare the first line of its file; see `JsonlExporter`."""
        if type(self).export is RedactingExporter.export and not self._redactor.has_callback:
            # Not written: the record is only a way to redact the facts of the process.
            known = self._redact(Record("process", None, PROCESS_START, 0, 0, process))
            prepare_first_line(self._inner, known.process, self._redacting(encoding))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush `inner`; whether that was done in time."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Shut `inner` down."""
        self._inner.shutdown()

    def shutdown_by(self, until: float) -> None:
        """Shut `inner` down until `until`, a time of the monotonic clock."""
        shutdown_by(self._inner, self._inner.shutdown, until)

    def has_room(self, until: float) -> bool:
        """Whether `inner` has room for many more records before `until`."""
        return has_room(self._inner, until)

    def _export_line(self, record: Record, encoding: Encoding) -> None:
        lines = self._lines
        if lines is not None:
            redacting = self._encodings.get(encoding) or self._redacting(encoding)
            lines.export_as(self._redact(record), redacting)

    def _redacting(self, encoding: Encoding) -> Encoding:
        redact = self._redact

        def encode_redacted(record: Record) -> bytes:
            # The redactor remembers the record it redacted last on this thread.
            return encoding(redact(record))

        if len(self._encodings) >= _MAX_ENCODINGS:
            self._encodings.clear()
        return self._encodings.setdefault(encoding, encode_redacted)
