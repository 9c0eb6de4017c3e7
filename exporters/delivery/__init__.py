"""Sends records to a remote system: queue, batches, retries, and a queue on disk.

The parts have the names that the OpenTelemetry Collector's exporterhelper gives them::

    RemoteQueue      sending queue: bounded, final records first (queue)
      Batcher        makes batches of one signal; the Scheduler decides which is next
      Sender         encodes a batch as a request and sends it, one for each signal
        CircuitBreaker   retry on failure (retry)
        deliver          halves what is refused (splitting)
        PersistentQueue  requests that wait on disk, and dead letters (persistent)
"""

from __future__ import annotations
