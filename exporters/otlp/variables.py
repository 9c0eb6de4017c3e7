"""Reads variables of the OTLP exporters that older releases read differently."""

from __future__ import annotations

import math
import os
from typing import Final

__all__ = ["request_timeout"]

_TIMEOUTS: Final = ("OTEL_EXPORTER_OTLP_{signal}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")


def request_timeout(signal: str) -> float | None:
    """Return the timeout of a request that the environment sets, for a stock exporter.

    Exporters before 1.35 refuse fractions of a second in the environment, but accept
    them as an argument.

    Args:
        signal: `TRACES` or `LOGS`.

    Returns:
        The seconds; None if no valid value is set, which the exporter handles itself.

    >>> import os
    >>> os.environ["OTEL_EXPORTER_OTLP_LOGS_TIMEOUT"] = "0.5"
    >>> request_timeout("LOGS")
    0.5
    >>> del os.environ["OTEL_EXPORTER_OTLP_LOGS_TIMEOUT"]
    """
    texts = (os.environ.get(name.format(signal=signal)) for name in _TIMEOUTS)
    text = next((text for text in texts if text is not None), "")
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
