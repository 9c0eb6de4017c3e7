"""The error for what the server cannot do now, with the time after which to try again."""

from __future__ import annotations

from otel_ext.server.security.answers import RequestError, retry_after
from otel_ext.server.security.limits import DEFAULT_LIMITS

__all__ = ["unavailable"]


def unavailable(
    message: str, hint: str, *, retry_seconds: int = DEFAULT_LIMITS.retry_after_seconds
) -> RequestError:
    """Return an error with status 503.

    Args:
        message: What cannot be done.
        hint: The way out.
        retry_seconds: When the client may try again; 0 if that would not help.

    >>> unavailable("The disk is full", "Make room.").headers
    ((b'retry-after', b'1'),)
    """
    headers = [retry_after(retry_seconds)] if retry_seconds else []
    return RequestError(503, message, hint=hint, headers=headers)
