"""The sizes, times and counts that bound what a client can make the server do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from otel_ext.errors import ConfigError
from otel_ext.settings.units import KIB, MIB

__all__ = ["DEFAULT_LIMITS", "ServerLimits"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLimits:
    """The limits of one listening port.

    Attributes:
        wire_bytes: The largest request body as it is sent, in bytes.
        inflated_bytes: The largest request body after decompression, in bytes.
        gzip_members: How many gzip members one body may consist of.
        in_flight_bytes: The inflated bodies of all requests together that may be in memory
            at once, in bytes.
        header_bytes: The request line and headers of a request, in bytes. What the kernel
            hands over at once, up to 256 KiB, may be read before it is noticed.
        header_seconds: How long a client may take to send request line and headers.
        body_seconds: How long a client may take to send a body.
        write_seconds: How long a client may read nothing of an answer that waits for it.
        keep_alive_seconds: How long a connection may be idle between two requests. It is
            longer than the intervals in which SDKs export, so that none is closed while
            the next request is on its way.
        linger_seconds: How long the server goes on reading a body that it has refused, so
            that the client sees the answer and not a broken connection.
        shutdown_seconds: How long requests may go on after the server was asked to stop.
        connections: How many connections may be open. The one that has been without a
            request for longest is closed for a new one.
        retry_after_seconds: When a client may try again after 503.

    Raises:
        ConfigError: A limit is not positive, or the largest body could never be read.

    >>> ServerLimits(wire_bytes=1024).wire_bytes
    1024
    """

    wire_bytes: int = 8 * MIB
    inflated_bytes: int = 32 * MIB
    gzip_members: int = 64
    in_flight_bytes: int = 48 * MIB
    header_bytes: int = 64 * KIB
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 30.0
    keep_alive_seconds: int = 75
    linger_seconds: float = 2.0
    shutdown_seconds: int = 10
    connections: int = 64
    retry_after_seconds: int = 1

    def __post_init__(self) -> None:
        """Refuse limits with which the server could not work."""
        for field in fields(self):
            value: object = getattr(self, field.name)
            if not isinstance(value, (int, float)) or value <= 0:
                raise ConfigError(
                    f"server limit {field.name}={value!r} is not positive",
                    hint="Give a number above 0.",
                )
        if self.in_flight_bytes < max(self.wire_bytes, self.inflated_bytes):
            raise ConfigError(
                f"server limit in_flight_bytes={self.in_flight_bytes} is smaller than one body",
                hint=f"Give at least {max(self.wire_bytes, self.inflated_bytes)}.",
            )


DEFAULT_LIMITS: Final = ServerLimits()
"""The limits of a port for which nothing else is given."""
