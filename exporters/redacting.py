"""`RedactingExporter`: removes secrets from records before another exporter gets them."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.wrapper import ExporterWrapper
from otel_ext.protocols import LineExporter
from otel_ext.record.codec import encode_line
from otel_ext.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.protocols import Encoding, RecordExporter
    from otel_ext.record.model import Process, Record

__all__ = ["RedactingExporter"]

_MAX_ENCODINGS: Final = 64


class RedactingExporter(ExporterWrapper):
    r"""Removes the secrets from each record, then passes it to `inner`.

    For one destination of several: a `LifecycleSpanProcessor` with a `redactor` removes
    them for all.

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

    needs_raw_records = True
    """It sanitises records itself, so the processor leaves that to it."""

    export_as: Callable[[Record, Encoding], None]
    """Exists only around an exporter of lines."""

    def __init__(self, inner: RecordExporter, redactor: Redactor | None = None) -> None:
        super().__init__(inner, RedactingExporter)
        self._redactor = redactor or Redactor()
        # A callback is the user's code and may start spans.
        self.never_starts_spans &= not self._redactor.has_callback
        # An exporter of lines writes some itself (the facts of the process), so it gets an
        # encoding that redacts them too.
        self._redacting = lru_cache(_MAX_ENCODINGS)(self._redact_and)
        if isinstance(inner, LineExporter):
            # A wrapper around this exporter chooses the encoding, as it would for `inner`.
            self.export_as = partial(self._export_line, inner)

    def export(self, record: Record) -> None:
        """Pass one record on, without secrets."""
        inner = self._inner
        if isinstance(inner, LineExporter):
            self._export_line(inner, record, encode_line)
        else:
            inner.export(self._redactor.redact(record))

    def _export_line(self, lines: LineExporter, record: Record, encoding: Encoding) -> None:
        lines.export_as(self._redactor.redact(record), self._redacting(encoding))

    def _redact_and(self, encoding: Encoding) -> Encoding:
        redact = self._redactor.redact
        # The redactor remembers the record that it redacted last on this thread.
        return lambda record: encoding(redact(record))

    def learn_open_records(self, open_records: Callable[[], Iterable[Record]]) -> None:
        """Pass the open spans on to `inner`, without secrets."""
        super().learn_open_records(lambda: map(self._redactor.redact, open_records()))

    def prepare_first_line(self, process: Process, encoding: Encoding | None = None) -> None:
        """Let `inner` prepare the first line of its file; see `JsonlExporter`."""
        if self._redactor.has_callback:
            return
        if isinstance(self._inner, LineExporter):  # any other chooses the encoding itself
            encoding = self._redacting(encoding or encode_line)
        super().prepare_first_line(self._redactor.process(process), encoding)
