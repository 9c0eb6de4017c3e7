"""The table of redaction rules: what secrets look like, one row each."""

from __future__ import annotations
