"""The record format's schema, and the checks against it."""

from __future__ import annotations
