"""Reads segments and ring buffers, damaged or in use, without changing them."""

from __future__ import annotations
