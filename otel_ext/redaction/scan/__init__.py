"""Finds secrets in text by the rules."""

from __future__ import annotations
