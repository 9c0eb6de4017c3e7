"""Sends OTLP requests over HTTP and gRPC."""

from __future__ import annotations
