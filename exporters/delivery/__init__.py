"""Sends records to a remote system: queue, batches, retries, and a queue on disk.

The parts have the names that the OpenTelemetry Collector's exporterhelper gives them::

    RemoteQueue      sending queue: bounded, final records first (queue)
      Batcher        makes batches; the Scheduler decides which is next
      Backoff        retry on failure, of a sender without a circuit breaker
    ResilientSender  sends through a CircuitBreaker, one request at a time (sending)
      RecordStore    the persistent queue, and dead letters (persistent)
"""

from __future__ import annotations
