"""`ConsoleExporter`: shows records live, as lines for people or, in a pipe, as JSON lines."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, TextIO, cast, get_args

from otel_ext.errors import ConfigError
from otel_ext.exporters.console.foreground import Terminal
from otel_ext.exporters.console.lines import LineRenderer
from otel_ext.exporters.console.stream import StreamWriter
from otel_ext.record.codec import encode_line
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.guard import report_problem
from otel_ext.terminal.canvas import Canvas, is_terminal, terminal_size
from otel_ext.terminal.output import encoded

if TYPE_CHECKING:
    from otel_ext.protocols import Encoding
    from otel_ext.record.model import Record

__all__ = ["ConsoleExporter", "ConsoleStyle"]

ConsoleStyle = Literal["auto", "people", "json"]

_STYLES: Final = get_args(ConsoleStyle)
_USUAL_SIZE: Final = (100, 24)
_LEAST_WIDTH: Final = 40
_WIDTH_SECONDS: Final = 1.0
_EXIT_MILLIS: Final = 500


class ConsoleExporter:
    """Shows records on a terminal, live and indented; in a pipe as JSON lines.

    Never waits: if a paused terminal or an unread pipe accepts no more lines, they are
    finally dropped and counted (`console.dropped.*`). Control characters in the data
    cannot move the cursor or color the screen.

    Args:
        stream: Where to write; default: `sys.stderr` as it is at the first record. A
            `Terminal` gets records only while it is visible.
        style: `people`: lines for people; `json`: lines for programs; `auto`: lines
            for people on a terminal, else JSON.
        color: Whether to use color. Default: on a terminal, unless `NO_COLOR` is
            set (https://no-color.org); elsewhere only if `FORCE_COLOR` is.

    Raises:
        ConfigError: `style` is unknown.

    >>> import io
    >>> from otel_ext.record.model import Process, Record
    >>> stream = io.StringIO()
    >>> exporter = ConsoleExporter(stream, style="people")
    >>> exporter.export(Record("event", None, "deployed", 0, 1, Process("p")))
    >>> stream.getvalue().rstrip()[-10:]
    '◆ deployed'
    """

    never_waits = True

    def __init__(
        self,
        stream: TextIO | Terminal | None = None,
        *,
        style: ConsoleStyle = "auto",
        color: bool | None = None,
    ) -> None:
        if style not in _STYLES:
            raise ConfigError(
                f"style {style!r} is not known", hint=f"Use one of {', '.join(_STYLES)}."
            )
        self._stream = stream
        self._style: ConsoleStyle = style
        self._color = color
        self._writer: StreamWriter | None = None
        self._made: dict[str, StreamWriter] = {}
        self._renderer: LineRenderer | None = None
        self._closed = False
        self._columns = _USUAL_SIZE[0]
        self._width_read_at = 0.0

    def export(self, record: Record) -> None:
        """Show one record; never raises, never waits."""
        self.export_as(record, encode_line)

    def export_as(self, record: Record, encoding: Encoding) -> None:
        """Show one record, in JSON as `encoding` renders it; never raises, never waits."""
        try:
            writer = self._writer or self._open_writer()
            if writer is None or self._closed:
                return
            renderer = self._renderer
            if renderer is None:
                writer.append(encoding(record))
                return
            line = renderer.render(record)
            if line:
                writer.append(encoded(f"{line}\n", self._encoding))
        except Exception as error:  # noqa: BLE001 - no error may reach the user's code
            COUNTERS.add("console.dropped.encode_failed")
            report_problem("ConsoleExporter: a record is not shown", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write the waiting lines; whether that was done in time."""
        return self._writer is None or self._writer.flush(timeout_millis)

    def shutdown(self) -> None:
        """Write the waiting lines, for up to half a second, and stop. Idempotent.

        While the program exits, later records are shown too.
        """
        if is_exiting():
            self.force_flush(_EXIT_MILLIS)
            return
        self._closed = True
        if self._writer is not None:
            self._writer.close()

    def _open_writer(self) -> StreamWriter | None:
        """Inspect the stream at the first record, and return its writer."""
        stream = self._stream or cast("TextIO | None", sys.stderr)
        if stream is None:  # a program without a console, such as pythonw
            return None
        self._stream = stream
        if self._style == "people" or (self._style == "auto" and is_terminal(stream)):
            self._renderer = LineRenderer(Canvas.of(stream, color=self._color), self._width)
        # Atomic: two threads at once get the same writer.
        self._writer = self._made.setdefault("writer", StreamWriter(stream))
        return self._writer

    def is_seen(self) -> bool:
        """Return whether records appear on a terminal now."""
        stream = self._stream
        if isinstance(stream, Terminal):
            return stream.is_there()
        return is_terminal(stream or cast("TextIO | None", sys.stderr))

    @property
    def _encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def _width(self) -> int:
        """Return the columns of the terminal, read once a second."""
        now = monotonic()
        if now - self._width_read_at > _WIDTH_SECONDS:
            self._width_read_at = now
            self._columns = max(terminal_size(self._stream, _USUAL_SIZE)[0], _LEAST_WIDTH)
        return self._columns
