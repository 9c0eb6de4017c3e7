"""Checkpoints: small states that survive a kill, and operations that continue from them."""

from __future__ import annotations
