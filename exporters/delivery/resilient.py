"""`ResilientExporter`: adds a circuit breaker and a queue on disk to a remote exporter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.protocols import RequestSender
from otel_ext.runtime.deadline import EXIT_SECONDS
from otel_ext.runtime.exporter_check import fast_export_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from otel_ext.exporters.delivery.retry import CircuitState
    from otel_ext.inflight.table import InflightTable
    from otel_ext.record.model import Record

__all__ = ["ResilientExporter"]

# Shorter than an exit: a `FanOut` leaves an exporter that has not stored the rest by that time.
_SHUTDOWN_SECONDS: Final = 0.75 * EXIT_SECONDS


class ResilientExporter:
    """Sends through `inner`, and keeps on disk what the destination does not accept now.

    - A destination that fails is left alone for a growing interval, or as long as it asks
      for (`Retry-After`), and then tried once; spans and logs apart.
    - Each destination has its own threads, so one that hangs delays no other.
    - What cannot be sent is kept in `FOLDER/.queue` and sent later: once the
      destination is back, or by the next program with the same folder.
    - A refused batch is halved until the bad record is found; that record is written
      to `FOLDER/.queue/dead-letter`, with the reason.

    Args:
        inner: A remote exporter, such as `OTLPRecordExporter`, or a sender, such as one
            derived from `JsonLinesSender`.
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
        inner: RemoteQueue | RequestSender,
        *,
        folder: str | os.PathLike[str] | None,
        name: str = "",
        settings: RemoteSettings | None = None,
        shutdown_seconds: float = _SHUTDOWN_SECONDS,
    ) -> None:
        self._queue = _queue_of(inner)
        self.name = name or self._queue.name
        settings = settings or RemoteSettings()
        path = Path(folder) if folder is not None and settings.persistent_queue else None
        self._queue.configure_delivery(self.name, path, settings, shutdown_seconds)

    @property
    def circuit(self) -> CircuitState:
        """The worst state of the circuits: `open`, then `half-open`, then `closed`."""
        states = {sender.retry.state for sender in self._queue.senders.values()}
        return "open" if "open" in states else "half-open" if "half-open" in states else "closed"

    @property
    def waiting(self) -> int:
        """How many records wait on disk."""
        stores = [sender.store for sender in self._queue.senders.values()]
        return sum(store.waiting for store in stores if store is not None)

    def export(self, record: Record) -> None:
        """Queue one record; called on the user's thread."""
        self._queue.export(record)

    @property
    def fast_export(self) -> Callable[[Record], None]:
        """`export`, compiled if the extension was built; it behaves as the method does."""
        return fast_export_of(self._queue)

    def learn_open_spans(self, table: InflightTable) -> None:
        """Get starts from `table`; see `RemoteQueue`."""
        self._queue.learn_open_spans(table)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send all records exported so far, or write them to disk.

        Returns:
            Whether that was done in time; `health()` shows whether they were sent.
        """
        return self._queue.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Send what is queued within `shutdown_seconds`; write the rest to disk. Idempotent.

        While the program exits, later records are written to disk too.
        """
        self._queue.shutdown()


def _queue_of(inner: object) -> RemoteQueue:
    if isinstance(inner, RemoteQueue):
        return inner
    if isinstance(inner, RequestSender):
        return RemoteQueue(inner)
    message = f"ResilientExporter cannot wrap an object of type {type(inner).__name__}"
    hint = "Pass an OTLPRecordExporter, or a sender derived from JsonLinesSender."
    raise ConfigError(message, hint=hint)
