"""Shows what runs now: spans, processes, whether they live, and their stacks."""

from __future__ import annotations
