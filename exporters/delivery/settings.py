"""Declares the settings for times in which a remote destination cannot be reached."""

from __future__ import annotations

from dataclasses import dataclass

from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Boolean, Duration, Integer, Size
from otel_ext.settings.units import DAY, GIB, HOUR, KIB, MIB

__all__ = ["RemoteSettings"]


@dataclass(frozen=True)
class RemoteSettings:
    """What happens while a destination cannot be reached. In seconds and bytes.

    Raises:
        ValueError: A number is not positive.

    >>> RemoteSettings(retry_failures=0)
    Traceback (most recent call last):
    ValueError: retry_failures=0: use a number above 0
    """

    persistent_queue: bool = declare(
        Boolean(),
        "Keep records that cannot be sent now on disk, in `.queue` below the output folder, and"
        " send them when the destination is back, or when a program starts with the same folder.",
        default=True,
    )
    persistent_queue_size: int = declare(
        Size(64 * KIB, 1024 * GIB),
        "Total size of the persistent queue; above it the oldest records are deleted.",
        default=512 * MIB,
    )
    retry_failures: int = declare(
        Integer(1, 1_000),
        "After this many failures in a row, sending to a destination pauses.",
        default=3,
    )
    retry_initial_interval: float = declare(
        Duration(0.01, HOUR),
        "The first pause; it doubles with each further failure. `Retry-After` can prolong it.",
        default=0.5,
    )
    retry_max_interval: float = declare(
        Duration(0.01, DAY),
        "The longest pause, apart from a longer `Retry-After`.",
        default=30.0,
    )

    def __post_init__(self) -> None:
        """Check what code that does not go through the configuration has passed."""
        for name, value in vars(self).items():
            if not value > 0 and name != "persistent_queue":
                raise ValueError(f"{name}={value!r}: use a number above 0")
