"""Defines `Handle`, which `configure()` returns: it flushes, and shuts recording down."""

from __future__ import annotations

import threading
from dataclasses import KW_ONLY, dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.deadline import EXIT_SECONDS, STORE_SECONDS, at_exit, shutdown_by
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from opentelemetry.sdk.trace import SpanProcessor

    from otel_ext.config import Config
    from otel_ext.exporters.console.exporter import ConsoleExporter
    from otel_ext.protocols import RecordExporter
    from otel_ext.redaction.redactor import Redactor

__all__ = ["Handle", "exit_seconds"]

# The part of a shutdown's time that is reserved for open spans and for closing files.
_CLOSE_SECONDS: Final = 1.5
# Enough to close files if nothing hangs, for a shutdown with a timeout of 0.
_LEAST_SECONDS: Final = 0.25


def exit_seconds(config: Config) -> float:
    """Return how long an exit may take: two seconds, or longer by `otlp-exit-timeout`."""
    otlp = config.otlp
    return max(EXIT_SECONDS, otlp.exit_timeout + STORE_SECONDS) if otlp.enabled else EXIT_SECONDS


@dataclass(eq=False, repr=False)
class Handle:
    """Flushes and shuts down what `configure` has set up.

    Calling it is optional: records are flushed at exit. As a context manager it
    shuts down at the end of the block. No method raises.

    Args:
        config: The configuration in use.
        processor: The processor that records; None if nothing is recorded.
        exporter: Receives the processor's records.
        watch: A processor that the exporter needs and that sees spans before `processor`.
        redactor: Removes secrets from the records; None if they are kept.
        console: Prints the records on the terminal; None if nothing does.

    >>> from otel_ext.config import Config
    >>> handle = Handle(Config())
    >>> handle.active, handle.flush(), handle.shutdown(), handle.closed
    (False, True, True, True)
    """

    config: Config
    _: KW_ONLY
    processor: SpanProcessor | None = None
    exporter: RecordExporter | None = None
    watch: SpanProcessor | None = None
    redactor: Redactor | None = None
    console: ConsoleExporter | None = None
    closed: bool = field(default=False, init=False)
    _ready: threading.Event = field(default_factory=threading.Event, init=False)
    _undo: Callable[[], None] | None = field(default=None, init=False)

    @property
    def active(self) -> bool:
        """Whether this handle records spans."""
        return self.processor is not None and not self.closed

    def flush(self, timeout: float = 5.0) -> bool:
        """Write and send all records made so far.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether all of them were written in time, and sent, or kept on disk to be sent later.
        """
        processor = self.processor
        if processor is None or self.closed:
            return True
        try:
            return processor.force_flush(max(0, int(timeout * 1000)))
        except Exception as error:  # noqa: BLE001 - an exporter may be a user's class
            report_problem("flush failed", error)
            return False

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Flush, and stop recording. Idempotent.

        Open spans of the program stay open. `configure` can be called again.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether all records were written in time, and sent, or kept on disk to be sent later.
        """
        if self.closed:
            return True
        until = monotonic() + max(timeout, _LEAST_SECONDS)
        done = self.flush(max(timeout - _CLOSE_SECONDS, timeout / 2))
        self.closed = True
        return self._close(until) and done

    def _close(self, until: float) -> bool:
        try:
            if self._undo is not None:
                self._undo()
            if self.processor is not None:
                shutdown_by(self.processor, self.processor.shutdown, until)
        except Exception as error:  # noqa: BLE001 - an exporter may be a user's class
            report_problem("shutdown failed", error)
            return False
        return True

    def drain(self) -> None:
        """Flush as at exit, within `exit_seconds`; later records are still accepted."""
        if not self.closed:
            with at_exit():
                self._close(monotonic() + exit_seconds(self.config))

    def flush_briefly(self) -> None:
        """Flush for at most one second, for a signal that is about to end the process."""
        self.flush(1.0)

    def undo_at_shutdown(self, undo: Callable[[], None]) -> None:
        """Let `shutdown` call `undo`, which reverts a change to the process."""
        self._undo = undo

    def set_ready(self) -> None:
        """Wake the threads that called `configure` at the same time and wait for it."""
        self._ready.set()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until the call of `configure` that made this handle has finished."""
        return self._ready.wait(timeout)

    def __enter__(self) -> Handle:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "active" if self.processor else "inactive"
        return f"<otel_ext.Handle {state} output={str(self.config.output.folder)!r}>"
