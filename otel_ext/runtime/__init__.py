"""The process-wide machinery under every part: worker thread, forks, deadlines, counters."""

from __future__ import annotations
