"""Keeps on disk what could not be sent yet."""

from __future__ import annotations
