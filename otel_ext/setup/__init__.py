"""The steps of `configure()`: provider, ids, handle, logs."""

from __future__ import annotations
