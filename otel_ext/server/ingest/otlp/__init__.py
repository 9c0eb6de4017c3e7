"""Reads OTLP requests: spans and log records, in protobuf and in JSON."""

from __future__ import annotations
