"""Finds configuration files and parses them, as TOML or YAML."""

from __future__ import annotations
