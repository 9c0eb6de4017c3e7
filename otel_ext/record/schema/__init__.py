"""The record format: its schema, and the checks of a record against it."""

from __future__ import annotations
