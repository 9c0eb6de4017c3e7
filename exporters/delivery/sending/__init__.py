"""Sends one request at a time, with retries, splitting and a circuit breaker."""

from __future__ import annotations
