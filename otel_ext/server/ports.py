"""The ports on which the server listens unless others are given."""

from __future__ import annotations

from typing import Final

__all__ = ["OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "VIEWER_PORT"]

VIEWER_PORT: Final = 8318
OTLP_HTTP_PORT: Final = 4318
OTLP_GRPC_PORT: Final = 4317
