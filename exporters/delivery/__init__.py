"""Sends records to a remote system: queue, batches, retries, and a queue on disk."""

from __future__ import annotations
