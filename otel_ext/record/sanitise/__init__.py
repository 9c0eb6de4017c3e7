"""Makes the values of a record safe: bounded in size and of plain types."""

from __future__ import annotations
