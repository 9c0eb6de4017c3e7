"""Makes the values of a record safe: plain types, bounded in size."""

from __future__ import annotations
