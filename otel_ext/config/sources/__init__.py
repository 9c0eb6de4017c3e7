"""The places that settings come from: TOML, YAML, and what they have in common."""

from __future__ import annotations
