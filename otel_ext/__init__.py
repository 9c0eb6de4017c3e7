"""See OpenTelemetry spans the moment they start, and keep them when the process dies."""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - paid for only when asked

        return version("otel-ext")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
