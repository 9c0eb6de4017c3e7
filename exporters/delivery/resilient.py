"""`ResilientExporter`: adds a circuit breaker and a queue on disk to a remote exporter."""

from __future__ import annotations

from math import inf
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.exporters.delivery.by_signal import BySignal
from otel_ext.exporters.delivery.persistent.store import RecordStore
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.delivery.sending.sender import ResilientSender
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.protocols import RecordSender, SignalSender
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.worker import Worker

if TYPE_CHECKING:
    import os

    from otel_ext.exporters.delivery.sending.breaker import CircuitState
    from otel_ext.record.model import Record

__all__ = ["ResilientExporter"]

_REPLAY_INTERVAL: Final = 0.25
# Seconds for writing a full queue to disk at exit.
_STORE_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.02
_RECENT_SECONDS: Final = 1.0


class ResilientExporter:
    """Sends through `inner`, and keeps on disk what the destination does not accept now.

    - A circuit breaker stops sending to a destination that fails, for a growing
      interval or as long as it asks for (`Retry-After`), and then tries one batch.
      Spans and logs have one each, so refused logs do not delay spans.
    - Each destination has its own threads, so one that hangs delays no other.
    - What cannot be sent is kept in `FOLDER/.queue` and sent later: once the
      destination is back, or by the next program with the same folder.
    - A refused batch is halved until the bad record is found; that record is written
      to `FOLDER/.queue/dead-letter`, with the reason.

    Args:
        inner: A remote exporter, such as `OTLPRecordExporter`, or a sender.
        folder: The folder of records; None keeps nothing on disk.
        name: The name of the destination; two with the same folder need different
            names. Default: the name of `inner`.
        settings: What may be kept on disk, when a destination counts as down, and how it is
            retried.
        shutdown_seconds: How long `shutdown` tries to send; the rest goes to disk.

    Raises:
        ConfigError: `inner` is neither an exporter nor a sender.

    >>> from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
    >>> exporter = ResilientExporter(OTLPRecordExporter(), folder="traces")
    >>> exporter.circuit
    'closed'
    >>> exporter.shutdown()
    """

    never_starts_spans = True
    never_waits = True

    def __init__(
        self,
        inner: RemoteQueue | RecordSender,
        *,
        folder: str | os.PathLike[str] | None,
        name: str = "",
        settings: RemoteSettings | None = None,
        shutdown_seconds: float = 1.5,
    ) -> None:
        queue = _queue_of(inner)
        self.name = name or queue.name
        self._sender = _by_signal(queue, self.name, folder, settings or RemoteSettings())
        self._shutdown_seconds = shutdown_seconds
        self._flush_failed_at = -inf
        self._closed = False
        self._queue = queue
        self._worker = Worker(f"otel-ext-remote {self.name}")
        queue.replace_sender(self._sender, self._worker)
        self._job = self._worker.every(_REPLAY_INTERVAL, self._sender.replay, f"{self.name} replay")

    @property
    def circuit(self) -> CircuitState:
        """The worst state of the circuits: `closed`, `half-open` or `open`."""
        return self._sender.circuit

    @property
    def waiting(self) -> int:
        """How many records wait on disk."""
        return self._sender.waiting

    def export(self, record: Record) -> None:
        """Queue one record; called on the user's thread."""
        self._queue.export(record)
        if not self._closed:
            self._sender.ensure_threads()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send all records exported so far, or write them to disk.

        Returns:
            Whether that was done in time; `health()` shows whether they were sent.
        """
        if self._closed:
            return True
        until = monotonic() + timeout_millis / 1000
        done = self._queue.force_flush(timeout_millis)
        while not self._sender.is_idle:
            if monotonic() >= until:
                done = False
                break
            if not self._worker.is_alive:
                self._sender.replay()
            self._job.wake()
            sleep(_POLL_SECONDS)
        if not done:
            self._flush_failed_at = monotonic()
        return done

    def shutdown(self) -> None:
        """Send what is queued within `shutdown_seconds`; write the rest to disk. Idempotent.

        While the program exits, later records are written to disk too.
        """
        if self._closed:
            return
        self._closed = True
        stays_open = is_exiting()
        # After a flush that has just failed, sending gets no more time.
        flush_failed = monotonic() - self._flush_failed_at < _RECENT_SECONDS
        seconds = 0.0 if flush_failed else self._shutdown_seconds
        self._sender.set_send_deadline(monotonic() + seconds)
        self._queue.force_flush(int((seconds + _STORE_SECONDS) * 1000))
        self._job.cancel()
        self._queue.shutdown()
        self._worker.stop(0.0)
        if stays_open:
            self._sender.set_send_deadline(monotonic())
            self._queue.accept_after_shutdown()


def _by_signal(
    queue: RemoteQueue,
    name: str,
    folder: str | os.PathLike[str] | None,
    settings: RemoteSettings,
) -> BySignal:
    """Wrap the queue's sender in one `ResilientSender` for each signal."""
    inner = queue.sender
    path = Path(folder) if folder is not None and settings.persistent_queue else None
    signals = inner.signals if isinstance(inner, SignalSender) else ("",)

    def make(signal: str) -> ResilientSender:
        # The first signal uses the destination's plain name.
        full_name = name if signal == signals[0] else f"{name} {signal}"
        return ResilientSender(
            inner,
            name=full_name,
            store=RecordStore(path, full_name, settings.persistent_queue_size),
            settings=settings,
            queue_is_filling=lambda: queue.is_filling,
            counts=queue.counts,
        )

    signal_of = inner.signal_of if isinstance(inner, SignalSender) else _single_signal
    return BySignal({signal: make(signal) for signal in signals}, signal_of)


def _single_signal(_record: Record) -> str:
    return ""


def _queue_of(inner: object) -> RemoteQueue:
    if isinstance(inner, RemoteQueue):
        return inner
    if isinstance(inner, RecordSender):
        return RemoteQueue(inner)
    message = f"ResilientExporter cannot wrap an object of type {type(inner).__name__}"
    hint = "Pass an OTLPRecordExporter, or a sender: an object with send() and close()."
    raise ConfigError(message, hint=hint)
