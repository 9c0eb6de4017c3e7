"""The functions that encode records: the compiled ones if they were built, else the Python ones."""

from __future__ import annotations

from typing import Final

from otel_ext._accel import choose, configure
from otel_ext.exporters.otlp.encoding.logs import encode_log_python
from otel_ext.exporters.otlp.encoding.spans import encode_span_python

__all__ = ["encode_log", "encode_span"]

configure("configure_otlp", span=encode_span_python, log=encode_log_python)

encode_span: Final = choose("encode_span", encode_span_python)
"""Encodes a record as a span."""

encode_log: Final = choose("encode_log", encode_log_python)
"""Encodes a record as a log record."""
