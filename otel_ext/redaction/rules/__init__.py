"""The rules of redaction: what a secret looks like, one row each."""

from __future__ import annotations
