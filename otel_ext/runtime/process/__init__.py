"""The current process: its identity, its start and end records, SIGTERM, and run notes."""

from __future__ import annotations
